import { Notice } from '../parts/notice.tsx'
import { useApp } from '../data/app-context.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import type { OutboxEntry, SignedChange, Verdict } from '../data/outbox-entry.ts'
import { whyNotTaken } from '../data/why-not-taken.ts'
import { avatarHref } from '../routes.ts'

interface Props {
  readonly view: Extract<AvatarView, { phase: 'ready' }>
  readonly record: SignedChange
  readonly onDone: () => void
}

/** The status of a change that was signed here. */
export function Sent({ view, record, onDone }: Props) {
  const { outbox } = useApp()
  const entry = outbox.find(record.id)
  const isHere = view.arrived.has(record.id) || view.known.tips.some(({ id }) => id === record.id)
  const { tone, title, text } = isHere
    ? ARRIVED
    : entry === undefined
      ? textOfTaken(outbox.verdicts.get(record.id))
      : textOfEntry(entry)
  return (
    <div role="status">
      <Notice tone={tone} title={title}>
        <p>{text}</p>
        <p class="row">
          {entry === undefined && (
            <a class="button" href={avatarHref(record.avatar, 'history', { record: record.id })}>
              See it in the history
            </a>
          )}
          <button type="button" onClick={onDone}>
            Go on editing
          </button>
        </p>
      </Notice>
    </div>
  )
}

const ARRIVED = {
  tone: 'good',
  title: 'Your change arrived',
  text: 'The host shows it, and its signature was checked here.',
} as const

function textOfEntry({ verdict, isOnDisk }: OutboxEntry) {
  if (verdict !== undefined) {
    return {
      tone: verdict.status === 'superseded' ? 'warn' : 'bad',
      title: 'The host did not take it',
      text: `${whyNotTaken(verdict)} Open the note above this form and choose what to do with the change.`,
    } as const
  }
  if (!isOnDisk) {
    return {
      tone: 'warn',
      title: 'Signed, but stored only in the memory of this page',
      text: 'The host has not taken it yet, and this browser has no room to store it. Leave this page open until it is sent: that happens by itself.',
    } as const
  }
  return {
    tone: 'info',
    title: 'Signed, and stored on this device',
    text: 'The host cannot be reached, or asks to wait. The change is sent by itself while a page of this host is open. You may close the page now and open it later.',
  } as const
}

/** @param said undefined if another page sent the change and got the answer */
function textOfTaken(said: Verdict | undefined) {
  if (said === undefined) {
    return {
      tone: 'info',
      title: 'The change no longer waits here',
      text: 'It was discarded, or another page of this host has sent it. In that case it arrives here soon.',
    } as const
  }
  if (said.status === 'pending') {
    return {
      tone: 'warn',
      title: 'The host stored it, but does not show it yet',
      text: 'It builds on records that this host lacks. The host shows it once those arrive.',
    } as const
  }
  return {
    tone: 'good',
    title: 'The host has it',
    text: 'It is on the host’s disk. This page waits to see it arrive…',
  } as const
}
