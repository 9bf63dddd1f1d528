import { describe, expect, it } from 'vitest'

import { createMetrics } from '../../src/observe/metrics.ts'

describe('createMetrics', () => {
  it('exposes what was reported', async () => {
    const metrics = createMetrics()
    let peers = 1
    metrics.gauge('peers', 'Connected peers.', () => peers)
    metrics.records('http', 'stored', 3)
    metrics.records('http', 'stored', 2)
    metrics.commit(0.004, 5)
    metrics.gossipReceived('reject', 0.002)
    metrics.gossipSent(2, 900)
    metrics.http('/v2/avatars/:avatar', 'GET', 200, 0.001)
    metrics.corruption('content')
    metrics.stranger('http', 'body_aborted')
    metrics.buildInfo({ version: '1.2.3', node: 'v20.19.0' })
    let sent = 5
    metrics.counter('sent_total', 'Sent.', () => sent)
    expect((await metrics.expose()).text).toContain('avatar_kv_sent_total 5\n')
    sent = 7
    peers = 4

    const { contentType, text } = await metrics.expose()
    expect(contentType).toContain('text/plain')
    for (const line of [
      'avatar_kv_records_total{origin="http",status="stored"} 5',
      'avatar_kv_commit_seconds_bucket{le="0.005"} 1',
      'avatar_kv_commit_seconds_bucket{le="0.0025"} 0',
      'avatar_kv_commit_records_sum 5',
      'avatar_kv_gossip_received_seconds_count{verdict="reject"} 1',
      'avatar_kv_gossip_sent_records_total 2',
      'avatar_kv_gossip_sent_bytes_sum 900',
      'avatar_kv_http_request_duration_seconds_count{route="/v2/avatars/:avatar",method="GET",code="200"} 1',
      'avatar_kv_corruption_total{kind="content"} 1',
      'avatar_kv_peers 4',
      'avatar_kv_strangers_total{part="http",kind="body_aborted"} 1',
      'avatar_kv_build_info{version="1.2.3",node="v20.19.0"} 1',
      '# TYPE avatar_kv_sent_total counter',
      'avatar_kv_sent_total 7',
    ]) {
      expect(text).toContain(`${line}\n`)
    }
    expect(text).toContain('process_cpu_seconds_total')
  })

  it('keeps a registry for each node', async () => {
    const [one, other] = [createMetrics(), createMetrics()]
    one.records('gossip', 'stored', 1)
    expect((await other.expose()).text).not.toContain('origin="gossip"')
  })
})
