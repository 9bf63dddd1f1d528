import { useDesk, useWaiting } from '../data/context.ts'
import { brief, count, shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { Notice } from './notice.tsx'

/** Changes that are signed and wait for the host. */
export function WaitingList({ avatar }: { avatar: string }) {
  const { outbox } = useDesk()
  const waiting = useWaiting(avatar)
  if (waiting.length === 0) return null
  return (
    <Notice tone="info" title={`${count(waiting.length, 'signed change')} kept on this device`}>
      <p>The host has not taken {waiting.length === 1 ? 'it' : 'them'} yet; that is tried again by itself.</p>
      <ul class="waiting">
        {waiting.map(({ id, payload }) => (
          <li key={id}>
            <code title={id}>{shortHex(id)}</code> <code class="brief">{visible(brief(patchOf(payload)))}</code>
            <button type="button" class="small quiet" onClick={() => outbox.drop(id)}>
              Discard
            </button>
          </li>
        ))}
      </ul>
    </Notice>
  )
}

function patchOf(payload: string): unknown {
  return (JSON.parse(payload) as { patch?: unknown }).patch
}
