import type { Deadline } from './deadline.ts'
import { ClientError } from './errors.ts'
import { MAX_FRAME_CHARACTERS } from './limits.ts'

/** One frame of a stream of server-sent events (WHATWG HTML, "Interpreting an event stream"). */
export interface StreamFrame {
  /** The cursor as it is after this frame; null where none was given yet. */
  readonly cursor: string | null
  /** Empty for a frame that only moves the cursor. */
  readonly event: string
  readonly data: string
}

/**
 * Reads a stream of server-sent events; what came together comes together. Ends where the stream does.
 *
 * @throws ClientError `bad_answer` where a frame has no end
 */
export async function* framesOf(
  stream: ReadableStream<Uint8Array>,
  deadline: Deadline,
): AsyncGenerator<StreamFrame[], void, undefined> {
  const reader = stream.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  let cursor: string | null = null
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      deadline.touch()
      rest += decoder.decode(value, { stream: true })
      // A carriage return at the end may be the first half of a line's end.
      const blocks = rest.replaceAll(/\r\n|\r(?!$)/g, '\n').split('\n\n')
      rest = blocks.pop() ?? ''
      if (rest.length > MAX_FRAME_CHARACTERS) throw new ClientError('bad_answer', 'A frame of the stream has no end.')
      const frames: StreamFrame[] = []
      for (const block of blocks) {
        const frame = parseFrame(block, cursor)
        cursor = frame.cursor
        frames.push(frame)
      }
      if (frames.length > 0) yield frames
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}

function parseFrame(block: string, before: string | null): StreamFrame {
  let cursor = before
  let event = ''
  const data: string[] = []
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'id' && !value.includes('\0')) cursor = value
    else if (field === 'event') event = value
    else if (field === 'data') data.push(value)
  }
  return { cursor, event: data.length > 0 ? event || 'message' : '', data: data.join('\n') }
}
