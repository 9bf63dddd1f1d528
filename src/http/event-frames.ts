import type { ChangeEvent } from '../store/types.ts'
import { formatCursor } from './cursor.ts'

/** Frames by event: the same event goes to many streams, and its text is made once. */
const frames = new WeakMap<ChangeEvent, string>()

/** One event in the format of server-sent events (WHATWG HTML, "Interpreting an event stream"). */
export function frameOf(event: ChangeEvent, epoch: string): string {
  const known = frames.get(event)
  if (known !== undefined) return known
  const { sequence, kind, avatar, id, counter, head, digest } = event
  const data = JSON.stringify({ avatar, id, counter, head, digest })
  const frame = `id: ${formatCursor(epoch, sequence)}\nevent: ${kind}\ndata: ${data}\n\n`
  frames.set(event, frame)
  return frame
}

/** Tells a reader that events were lost to it: what it holds is to be read anew, and goes on from the cursor. */
export function resetFrame(epoch: string, sequence: number): string {
  const cursor = formatCursor(epoch, sequence)
  return `id: ${cursor}\nevent: reset\ndata: ${JSON.stringify({ cursor })}\n\n`
}
