import type { ChangeEvent } from '../../store/types.ts'
import { formatCursor } from './cursor.ts'

/** Returns events as server-sent events (WHATWG HTML, "Interpreting an event stream"); streams can share the bytes. */
export function framesOf(events: readonly ChangeEvent[], epoch: string): Buffer {
  return Buffer.from(events.map((event) => frameOf(event, epoch)).join(''))
}

function frameOf({ sequence, kind, avatar, id, counter, head, digest }: ChangeEvent, epoch: string): string {
  const data = JSON.stringify({ avatar, id, counter, head, digest })
  return `id: ${formatCursor(epoch, sequence)}\nevent: ${kind}\ndata: ${data}\n\n`
}

/** Tells a reader that it missed events: it must read the state again; the stream continues after the cursor. */
export function resetFrame(epoch: string, sequence: number): string {
  const cursor = formatCursor(epoch, sequence)
  return `id: ${cursor}\nevent: reset\ndata: ${JSON.stringify({ cursor })}\n\n`
}
