import { Bars } from '../parts/chart.tsx'
import { ConnectToMe } from '../parts/connect-to-me.tsx'
import { Hex } from '../parts/hex.tsx'
import { Loading, Trouble } from '../parts/notice.tsx'
import { Operator } from '../parts/operator.tsx'
import { Peers } from '../parts/peers-table.tsx'
import { bytes, count, cut, duration } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { readNodeInfo, readPeers, readStatus, type HostStatus } from '../data/node-facts.ts'
import { readActivity } from '../data/overview.ts'
import { useAnswer } from '../data/use-answer.ts'

const REFRESH_MS = 5_000

export function NetworkPage() {
  const answer = useAnswer(
    async (signal) => {
      const [info, status, peers, activity] = await Promise.all([
        readNodeInfo(signal),
        readStatus(signal),
        readPeers(signal),
        readActivity(signal),
      ])
      return { info, status, peers, minutes: activity.minutes }
    },
    [],
    REFRESH_MS,
  )
  return (
    <>
      <div class="page-head">
        <h1>Network</h1>
        <p class="lead">
          What this host says about itself and its peers. Nothing on this page is signed, so nothing of it can be
          checked.
        </p>
      </div>
      {answer.phase === 'loading' && <Loading what="Asking this host" />}
      <Trouble answer={answer} title="This host does not tell how it stands" />
      {answer.phase === 'ready' && (
        <>
          <Numbers status={answer.value.status} minutes={answer.value.minutes} />
          <Peers peers={answer.value.peers} />
          <ConnectToMe status={answer.value.status} />
          <Operator info={answer.value.info} />
          <Status status={answer.value.status} />
        </>
      )}
    </>
  )
}

function Numbers({ status, minutes }: { status: HostStatus; minutes: readonly number[] }) {
  const lastHour = minutes.reduce((sum, each) => sum + each, 0)
  return (
    <section class="numbers" aria-label="This host in numbers">
      <dl>
        <Figure name="Avatars" value={status.avatars} />
        <Figure name="Live records" value={status.records} />
        <Figure name="Peers" value={status.peers} />
        <Figure name="Live readers" value={status.subscribers} />
        <div class="figure wide">
          <dt>New in the last hour</dt>
          <dd>
            <span>{lastHour.toLocaleString('en')}</span>
            <Bars values={minutes} label={`${count(lastHour, 'record')} by the minute`} />
          </dd>
        </div>
      </dl>
    </section>
  )
}

function Figure({ name, value }: { name: string; value: number }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>{value.toLocaleString('en')}</dd>
    </div>
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
      <dl class="facts">
        <dt>Hosts</dt>
        <dd>
          {hosting.mode === 'all'
            ? 'every avatar of the network'
            : `${count(hosting.listed, 'avatar')} on its list; ${POLICIES[hosting.policy] ?? visible(hosting.policy)}`}
        </dd>
        <dt>Network</dt>
        <dd>{visible(status.network)}</dd>
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
      </dl>
    </section>
  )
}
