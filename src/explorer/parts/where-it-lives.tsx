import { ClientError } from '../../client/errors.ts'
import { readHosts, type FoundHost, type FoundHosts } from '../../client/find-hosts.ts'
import type { VerifiedAvatar } from '../../client/index.ts'
import { count, moment, shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { hostApi, hostText } from '../data/host.ts'
import { useApp } from '../data/app-context.ts'
import { useAnswer } from '../data/use-answer.ts'
import { Failure } from './notice.tsx'

/** Which hosts store the avatar, by receipts that are verified here. The host of the page asks its peers. */
export function WhereItLives({ known }: { known: VerifiedAvatar }) {
  const { avatar } = known
  const found = useAnswer(async (signal) => await askForHosts(avatar, signal), [avatar])
  return (
    <section aria-labelledby="lives-title">
      <h2 id="lives-title">Where it lives</h2>
      {found.phase === 'loading' && <p aria-live="polite">Asking this host and its peers …</p>}
      {found.phase === 'failed' && <Failure title="This host does not say where it lives" message={found.message} />}
      {found.phase === 'ready' && <Hosts known={known} found={found.value} />}
    </section>
  )
}

async function askForHosts(avatar: VerifiedAvatar['avatar'], signal: AbortSignal): Promise<FoundHosts> {
  try {
    return await readHosts(hostApi(signal), avatar, signal)
  } catch (error) {
    throw error instanceof ClientError ? new Error(hostText(error), { cause: error }) : error
  }
}

function Hosts({ known, found: { hosts, homes } }: { known: VerifiedAvatar; found: FoundHosts }) {
  return (
    <>
      {hosts.length === 0 ? (
        <p class="empty">No host signed that it stores this avatar. This host asked its peers just now.</p>
      ) : (
        <>
          <p>
            {count(hosts.length, 'host')} signed that {hosts.length === 1 ? 'it stores' : 'they store'} this avatar.
            Your browser checked each signature. An address is what a host claims. To see what is at a web address, open
            the line above that says how the content was checked, and compare with it.
          </p>
          <ul class="hosts">
            {hosts.map((host) => (
              <Host key={host.receipt.peer_id} known={known} host={host} />
            ))}
          </ul>
        </>
      )}
      {homes.length > 0 && (
        <p>
          The avatar is said to name these homes, which nobody checked: {homes.map((home) => visible(home)).join(', ')}
        </p>
      )}
    </>
  )
}

function Host({ known, host: { receipt, urls, addresses, toldBy } }: { known: VerifiedAvatar; host: FoundHost }) {
  const { session } = useApp()
  const isHere = receipt.peer_id === session.status.peer_id
  const claimed = [...urls, ...addresses][0]
  const name = isHere
    ? 'This host'
    : claimed === undefined
      ? `Peer ${shortHex(receipt.peer_id)}, without an address`
      : visible(claimed)
  return (
    <li>
      <strong>{name}</strong>
      {toldBy !== null && ' (another host told of it)'}
      <br />
      {count(receipt.records, 'record')}, {receipt.digest === known.digest ? 'exactly this state' : 'another state'};
      signed {moment(receipt.time)}
    </li>
  )
}
