import { useApp } from '../data/app-context.ts'
import { brief, count, shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { changeOf } from '../data/prepare.ts'
import type { OutboxEntry } from '../data/outbox-entry.ts'
import { whyNotTaken } from '../data/why-not-taken.ts'
import { avatarHref } from '../routes.ts'

/** Signed changes that the page sends by itself. */
export function WaitingChanges({ records }: { records: readonly OutboxEntry[] }) {
  const text = `The host has not taken ${records.length === 1 ? 'it' : 'them'} yet. This page tries again by itself.`
  return <Changes records={records} text={text} />
}

/** Signed changes that the host refuses: the person decides. */
export function DeclinedChanges({ records }: { records: readonly OutboxEntry[] }) {
  const they = records.length === 1 ? 'It stays' : 'They stay'
  const text = `${they} here until you choose what to do. Nothing here is sent again by itself.`
  return <Changes records={records} text={text} />
}

function Changes({ records, text }: { records: readonly OutboxEntry[]; text: string }) {
  return (
    <>
      <p>{text}</p>
      <Room records={records} />
      <ul class="waiting">
        {records.map((record) => (
          <Item key={record.id} record={record} />
        ))}
      </ul>
    </>
  )
}

/** Whether all of them are on disk, so that closing the page loses none. */
export function isSafe(records: readonly OutboxEntry[]): boolean {
  return records.every(({ isOnDisk }) => isOnDisk)
}

export function waitingTitle(waiting: readonly OutboxEntry[]): string {
  const changes = count(waiting.length, 'signed change')
  return isSafe(waiting) ? `${changes} stored on this device` : `${changes} not sent yet`
}

export function declinedTitle(declined: readonly OutboxEntry[]): string {
  return `${count(declined.length, 'signed change')} not taken by the host`
}

/** Says that some changes are lost with the page. */
function Room({ records }: { records: readonly OutboxEntry[] }) {
  const unsafe = records.filter(({ isOnDisk }) => !isOnDisk).length
  if (unsafe === 0) return null
  return (
    <p>
      <strong>
        This browser has no room to store {count(unsafe, 'change')}. Leave this page open until the host has taken{' '}
        {unsafe === 1 ? 'it' : 'them'}: closing the page loses {unsafe === 1 ? 'it' : 'them'}.
      </strong>
    </p>
  )
}

function Item({ record }: { record: OutboxEntry }) {
  const { outbox } = useApp()
  const { id, verdict } = record
  return (
    <li>
      <code title={id}>{shortHex(id)}</code> <code class="brief">{visible(brief(changeOf(record)?.patch))}</code>
      {verdict !== undefined && <p>{whyNotTaken(verdict)}</p>}
      {verdict !== undefined && <Remedy record={record} />}{' '}
      <button type="button" class="small quiet" onClick={() => outbox.discard(id)}>
        Discard
      </button>
    </li>
  )
}

/** A refused change may be taken later as it is. A change that lost its place in the history is signed again. */
function Remedy({ record }: { record: OutboxEntry }) {
  const { outbox } = useApp()
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
