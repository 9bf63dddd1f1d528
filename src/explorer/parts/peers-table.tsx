import type { PeerAnswer, PeerSyncAnswer } from '../../client/node-info.ts'
import { count, cut, moment } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { Ago } from './ago.tsx'
import { Hex } from './hex.tsx'

export function Peers({ peers }: { peers: readonly PeerAnswer[] }) {
  return (
    <section aria-labelledby="peers-title">
      <h2 id="peers-title">Peers</h2>
      {peers.length === 0 ? (
        <p class="empty">No peer is connected. This host serves the data that it has, and waits for peers.</p>
      ) : (
        <div class="scroll" role="region" aria-label="Table of peers" tabIndex={0}>
          <table class="peers">
            <thead>
              <tr>
                <th scope="col">Peer</th>
                <th scope="col">State</th>
                <th scope="col">Last compared</th>
                <th scope="col" class="number-cell">
                  Received by gossip
                </th>
                <th scope="col" class="number-cell">
                  Received by sync
                </th>
                <th scope="col" class="number-cell">
                  Sent by sync
                </th>
              </tr>
            </thead>
            <tbody>
              {peers.map((peer) => (
                <Peer key={peer.peer_id} peer={peer} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Peer({ peer }: { peer: PeerAnswer }) {
  const { sync, direction, gossip, agent, connected_at, gossip_records_in } = peer
  const { tone, text } = healthOf(sync)
  return (
    <tr>
      <th scope="row">
        <Hex value={peer.peer_id} label="peer id" />
        <span class="brief" title={`Connected ${moment(connected_at)}`}>
          {agent !== null && `${visible(cut(agent, 60))}, `}
          {direction === 'inbound' ? 'connected to this host' : 'this host connected to it'}
          {!gossip && ', no gossip'}
        </span>
      </th>
      <td data-label="State">
        <span class={`tag ${tone}`}>{text}</span>
      </td>
      <td data-label="Last compared">{sync?.last ? <LastCompared last={sync.last} /> : 'not yet'}</td>
      <td class="number-cell" data-label="Received by gossip">
        {(gossip_records_in ?? 0).toLocaleString('en')}
      </td>
      <td class="number-cell" data-label="Received by sync">
        {(sync?.records_in ?? 0).toLocaleString('en')}
      </td>
      <td class="number-cell" data-label="Sent by sync">
        {(sync?.records_out ?? 0).toLocaleString('en')}
      </td>
    </tr>
  )
}

function LastCompared({ last }: { last: NonNullable<PeerSyncAnswer['last']> }) {
  return (
    <>
      <Ago unixSeconds={last.finished_at} />
      {last.differences > 0 && <span class="brief">{count(last.differences, 'record')} differed</span>}
    </>
  )
}

const OUTCOMES: Readonly<Record<string, string>> = {
  equal: 'in sync',
  equal_except_refused: 'in sync, except for refused records',
  different: 'still differs',
}

function healthOf(sync: PeerSyncAnswer | null): { tone: string; text: string } {
  if (sync === null) return { tone: '', text: 'does not sync' }
  if ((sync.failures ?? 0) > 0)
    return { tone: 'warn', text: `trouble: ${visible(cut(sync.error ?? 'sync failed', 200))}` }
  if (['opening', 'reconciling', 'bootstrapping', 'fetching', 'serving'].includes(sync.state)) {
    return { tone: 'info', text: 'syncing now' }
  }
  if (sync.last === null) return { tone: '', text: 'not compared yet' }
  return {
    tone: sync.last.outcome === 'different' ? 'warn' : 'good',
    text: OUTCOMES[sync.last.outcome] ?? visible(cut(sync.last.outcome)),
  }
}
