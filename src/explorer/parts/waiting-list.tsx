import type { ComponentChildren } from 'preact'
import { useDeclined, useDesk, useWaiting } from '../data/context.ts'
import { brief, count, shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { changeOf } from '../data/prepare.ts'
import type { Kept } from '../data/waiting.ts'
import { whyNotTaken } from '../data/why-not-taken.ts'
import { avatarHref } from '../routes.ts'
import { Notice } from './notice.tsx'

/** Changes that are signed, and that the host has not taken: those that wait for it, and those that wait for the person. */
export function WaitingList({ avatar }: { avatar: string }) {
  const waiting = useWaiting(avatar)
  const declined = useDeclined(avatar)
  return (
    <>
      {waiting.length > 0 && (
        <Notice tone={isSafe(waiting) ? 'info' : 'warn'} title={titleOf(waiting)}>
          <p>The host has not taken {waiting.length === 1 ? 'it' : 'them'} yet; that is tried again by itself.</p>
          <Room records={waiting} />
          <ul class="waiting">
            {waiting.map((record) => (
              <Item key={record.id} record={record} />
            ))}
          </ul>
        </Notice>
      )}
      {declined.length > 0 && (
        <Notice tone="warn" title={`${count(declined.length, 'signed change')} not taken by the host`}>
          <p>
            {declined.length === 1 ? 'It is' : 'They are'} kept until you choose what to do. Nothing of this is sent
            again by itself.
          </p>
          <Room records={declined} />
          <ul class="waiting">
            {declined.map((record) => (
              <Item key={record.id} record={record}>
                <Remedy record={record} />
              </Item>
            ))}
          </ul>
        </Notice>
      )}
    </>
  )
}

function isSafe(records: readonly Kept[]): boolean {
  return records.every(({ isOnDisk }) => isOnDisk)
}

function titleOf(waiting: readonly Kept[]): string {
  const changes = count(waiting.length, 'signed change')
  return isSafe(waiting) ? `${changes} kept on this device` : `${changes} not sent yet`
}

/** Says what is lost with the page. */
function Room({ records }: { records: readonly Kept[] }) {
  const unsafe = records.filter(({ isOnDisk }) => !isOnDisk).length
  if (unsafe === 0) return null
  return (
    <p>
      <strong>
        This browser has no room to keep {count(unsafe, 'change')}: kept only while this page is open, and lost when it
        closes.
      </strong>
    </p>
  )
}

function Item({ record, children }: { record: Kept; children?: ComponentChildren }) {
  const { outbox } = useDesk()
  const { id, verdict } = record
  return (
    <li>
      <code title={id}>{shortHex(id)}</code> <code class="brief">{visible(brief(changeOf(record)?.patch))}</code>
      {verdict !== undefined && <p>{whyNotTaken(verdict)}</p>}
      {children}{' '}
      <button type="button" class="small quiet" onClick={() => outbox.drop(id)}>
        Discard
      </button>
    </li>
  )
}

/** What was refused may be taken later as it is. What has lost its place in the history is signed anew. */
function Remedy({ record }: { record: Kept }) {
  const { outbox } = useDesk()
  const { avatar, id, verdict } = record
  if (verdict?.status === 'refused') {
    return (
      <button type="button" class="small" onClick={() => void outbox.sendAgain(id)}>
        Send it again
      </button>
    )
  }
  const change = changeOf(record)
  if (change === undefined) return null
  const { platform, identity } = change
  return (
    <a class="button small" href={avatarHref(avatar, 'edit', { platform, identity, again: id })}>
      Make it again
    </a>
  )
}
