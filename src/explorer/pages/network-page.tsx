import { Hex } from '../parts/hex.tsx'
import { Loading, Trouble } from '../parts/notice.tsx'
import { bytes, count, cut, duration, moment } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import type { PeerAnswer, PeerSyncAnswer } from '../../client/node-info.ts'
import { Operator } from '../parts/operator.tsx'
import { readNodeInfo, readPeers, readStatus, type HostStatus } from '../data/node-facts.ts'
import { useAnswer } from '../data/use-answer.ts'

const REFRESH_MS = 5_000

export function NetworkPage() {
  const answer = useAnswer(
    async (signal) => {
      const [info, status, peers] = await Promise.all([readNodeInfo(signal), readStatus(signal), readPeers(signal)])
      return { info, status, peers }
    },
    [],
    REFRESH_MS,
  )
  return (
    <>
      <h1>Network</h1>
      <p class="lead">
        What this host says about itself and its peers. Nothing on this page is signed, so nothing of it can be checked.
      </p>
      {answer.phase === 'loading' && <Loading what="Asking this host" />}
      <Trouble answer={answer} title="This host does not tell how it stands" />
      {answer.phase === 'ready' && (
        <>
          <Operator info={answer.value.info} />
          <Status status={answer.value.status} />
          <Peers peers={answer.value.peers} />
        </>
      )}
    </>
  )
}

const POLICIES: Readonly<Record<string, string>> = {
  open: 'hosts every avatar whose owner asks',
  invite: 'hosts avatars whose owners have an invitation',
  closed: 'hosts no avatar on request',
}

const DISK_STATES: Readonly<Record<string, string>> = {
  low: 'getting full: this host takes no new avatars',
  full: 'nearly full: this host takes no records',
}

function Status({ status }: { status: HostStatus }) {
  const { hosting } = status
  return (
    <section aria-labelledby="host-title">
      <h2 id="host-title">This host</h2>
      <div class="tiles">
        <Tile n={status.avatars} one="avatar" many="avatars" />
        <Tile n={status.records} one="live record" many="live records" />
        <Tile n={status.peers} one="peer" many="peers" />
        <Tile n={status.subscribers} one="live reader" many="live readers" />
      </div>
      <dl class="facts">
        <dt>Hosts</dt>
        <dd>
          {hosting.mode === 'all'
            ? 'every avatar of the network'
            : `${count(hosting.listed, 'avatar')} on its list; ${POLICIES[hosting.policy] ?? visible(hosting.policy)}`}
        </dd>
        <dt>Network</dt>
        <dd>{visible(status.network)}</dd>
        {status.reachability !== null && (
          <>
            <dt>From outside</dt>
            <dd>{visible(status.reachability.text)}</dd>
          </>
        )}
        <dt>Data stored</dt>
        <dd>{bytes(status.bytes)}</dd>
        {status.disk !== null && status.disk.state !== 'ok' && (
          <>
            <dt>Disk</dt>
            <dd>{DISK_STATES[status.disk.state] ?? visible(cut(status.disk.state))}</dd>
          </>
        )}
        <dt>Running for</dt>
        <dd>{duration(status.uptime_seconds)}</dd>
        <dt>Version</dt>
        <dd>{visible(status.version)}</dd>
        <dt>Peer id</dt>
        <dd>
          <Hex value={status.peer_id} label="peer id" />
        </dd>
        <dt>Addresses</dt>
        <dd>
          {status.addresses.length === 0 && 'none'}
          {status.addresses.map((each) => (
            <code key={each} class="address">
              {visible(each)}
            </code>
          ))}
        </dd>
      </dl>
    </section>
  )
}

function Tile({ n, one, many }: { n: number; one: string; many: string }) {
  return (
    <p class="tile">
      <strong>{n.toLocaleString('en')}</strong> {n === 1 ? one : many}
    </p>
  )
}

function Peers({ peers }: { peers: readonly PeerAnswer[] }) {
  return (
    <section aria-labelledby="peers-title">
      <h2 id="peers-title">Peers</h2>
      {peers.length === 0 ? (
        <p class="empty">No peer is connected. This host serves the data that it has, and waits for peers.</p>
      ) : (
        <ul class="cards">
          {peers.map((peer) => (
            <Peer key={peer.peer_id} peer={peer} />
          ))}
        </ul>
      )}
    </section>
  )
}

function Peer({ peer }: { peer: PeerAnswer }) {
  const { tone, text } = healthOf(peer.sync)
  return (
    <li>
      <div class="section-head">
        <Hex value={peer.peer_id} label="peer id" />
        <span class={`tag ${tone}`}>{text}</span>
      </div>
      <p class="hint">
        {peer.direction === 'inbound' ? 'connected to this host' : 'this host connected to it'}{' '}
        {moment(peer.connected_at)}
        {peer.gossip && ', receives new records at once'}
        {peer.agent !== null && `, ${visible(peer.agent)}`}
      </p>
      <p class="hint">
        {count(peer.gossip_records_in ?? 0, 'new record')} received at once
        {peer.sync !== null &&
          `; by sync ${count(peer.sync.records_in ?? 0, 'record')} received, ${(peer.sync.records_out ?? 0).toLocaleString('en')} sent`}
        {peer.sync?.last && `; last compared ${moment(peer.sync.last.finished_at)}`}
      </p>
    </li>
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
