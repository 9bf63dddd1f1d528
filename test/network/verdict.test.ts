import { afterEach, describe, expect, test } from 'vitest'

import { IngestBusyError } from '../../src/ingest/errors.ts'
import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { encodeBatch } from '../../src/record/codec.ts'
import { until } from '../support/until.ts'
import { addressOf, judged, meshed, record, startNode, stopAll, testIngest } from './nodes.ts'
import { startStranger } from './stranger.ts'
import type { TestNodeOptions } from './nodes.ts'

afterEach(stopAll)

/** stranger -> judge -> witness. */
async function scene(options: TestNodeOptions = {}) {
  const judge = await startNode(options)
  const witness = await startNode({ peers: [addressOf(judge)] })
  await meshed(judge, witness)
  return { judge, witness, stranger: await startStranger(judge) }
}

const batch = (...texts: string[]): Uint8Array => encodeBatch(texts.map(record))

const CASES: { what: string; data: Uint8Array; verdict: 'accept' | 'ignore' | 'reject' }[] = [
  { what: 'a stored record', data: batch('stored:1'), verdict: 'accept' },
  { what: 'a pending record', data: batch('pending:1'), verdict: 'accept' },
  { what: 'a stored record among known ones', data: batch('duplicate:1', 'stored:2'), verdict: 'accept' },
  { what: 'known records', data: batch('duplicate:1', 'duplicate:2'), verdict: 'ignore' },
  { what: 'a superseded record', data: batch('superseded:1'), verdict: 'ignore' },
  { what: 'a refused record', data: batch('refused:1'), verdict: 'ignore' },
  { what: 'an invalid record', data: batch('invalid:1'), verdict: 'reject' },
  { what: 'an invalid record among good ones', data: batch('stored:1', 'invalid:1', 'stored:2'), verdict: 'reject' },
  { what: 'a full queue', data: batch('busy:1'), verdict: 'ignore' },
  { what: 'an unexpected exception', data: batch('throw:1'), verdict: 'ignore' },
  { what: 'a batch with unknown fields only', data: Uint8Array.of(0x18, 1), verdict: 'ignore' },
  { what: 'an empty message', data: new Uint8Array(0), verdict: 'reject' },
  { what: 'bytes that are no batch', data: new TextEncoder().encode('hello, world'), verdict: 'reject' },
  { what: 'a message of more than 1 MiB', data: batch(`stored:${'z'.repeat(1_048_576)}`), verdict: 'reject' },
]

describe('verdicts on gossip messages', () => {
  test.each(CASES)('$what: $verdict', async ({ data, verdict }) => {
    const { judge, witness, stranger } = await scene({ ingest: testIngest(new IngestBusyError(1)) })
    await stranger.send(data)
    expect(await judged(judge, 1)).toEqual({ [verdict]: 1 })
    // What follows shows that the first message would have arrived by now, and that a stranger who broke no rule is still heard.
    if (verdict === 'reject') judge.network.publish([record('stored:marker')])
    else await stranger.send(batch('stored:marker'))
    await until(() => witness.ingest.payloads.includes('stored:marker'), 'the marker has arrived')
    const passed = witness.ingest.payloads.filter((text) => text !== 'stored:marker')
    expect(passed.length > 0).toBe(verdict === 'accept')
  })

  test('the greatest message passes', async () => {
    const { witness, stranger } = await scene()
    const overhead = batch('stored:').byteLength + 4
    const data = batch(`stored:${'z'.repeat(1_048_576 - overhead)}`)
    expect(data.byteLength).toBe(1_048_576)
    await stranger.send(data)
    await until(() => witness.ingest.payloads.length === 1, 'it has arrived')
  })

  test('messages on other topics are not looked at', async () => {
    const { judge, witness, stranger } = await scene()
    await stranger.send(batch('stored:elsewhere'), 'avatar-kv/2/other/records/0')
    await stranger.send(batch('stored:here'))
    await until(() => witness.ingest.payloads.length > 0, 'the other message has arrived')
    expect(judge.ingest.payloads).toEqual(['stored:here'])
  })

  test('a validation that hangs ends as ignore and does not keep others from being judged', async () => {
    const validation = { ...defaultNetworkLimits.validation, runningPerPeer: 1, timeoutMs: 300 }
    const { judge, witness, stranger } = await scene({ limits: { validation } })
    await stranger.send(batch('hang:1'))
    await stranger.send(batch('stored:after'))
    expect(await judged(judge, 2)).toEqual({ ignore: 1, accept: 1 })
    await until(() => witness.ingest.payloads.includes('stored:after'), 'the second message has arrived')
  })

  test('a peer that sends invalid records is no longer heard; one that sends known ones is', async () => {
    const { judge, witness, stranger } = await scene()
    const second = await startStranger(judge)
    for (let index = 0; index < 4; index += 1) {
      await stranger.send(batch(`invalid:${index}`))
      await second.send(batch(`duplicate:${index}`))
    }
    expect(await judged(judge, 8)).toEqual({ reject: 4, ignore: 4 })
    let turn = 0
    /** Both send; whether the bad one was heard by the time that the good one was. */
    const isBadHeard = async (): Promise<boolean> => {
      turn += 1
      await stranger.send(batch(`invalid:bad ${turn}`))
      await second.send(batch(`stored:good ${turn}`))
      await until(() => witness.ingest.payloads.includes(`stored:good ${turn}`), 'the good one is heard')
      return judge.ingest.payloads.includes(`invalid:bad ${turn}`)
    }
    // Scores count from the next heartbeat on, which comes every second.
    await until(async () => !(await isBadHeard()), 'the bad one is not heard')
    expect([await isBadHeard(), await isBadHeard()]).toEqual([false, false])
  })
})
