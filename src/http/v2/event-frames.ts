import type { Avatar } from '../../record/types.ts'
import type { ChangeEvent } from '../../store/types.ts'
import { formatCursor } from './cursor.ts'

const NO_FRAMES = Buffer.alloc(0)
/** Bytes of events in a block that grows: about 190 events. */
export const BLOCK_BYTES = 64 * 1024

/**
 * Events of one stretch of the feed as server-sent events (WHATWG HTML, "Interpreting an event stream"): every event after
 * `start`, up to `end`. Events can be added; bytes that were read never change, so streams share them.
 */
export class EventBlock {
  /** Exclusive. */
  readonly start: number
  /** Inclusive. */
  end: number
  readonly #bytes: Buffer
  #length = 0
  readonly #sequences: number[] = []
  readonly #avatars: Avatar[] = []
  /** Where the frame of each event ends. */
  readonly #ends: number[] = []
  /** What was last asked for. */
  #asked: { start: number; length: number; frames: Buffer } = { start: -1, length: 0, frames: NO_FRAMES }

  constructor(start: number, capacityBytes: number) {
    this.start = start
    this.end = start
    this.#bytes = Buffer.allocUnsafeSlow(capacityBytes)
  }

  /** A block that has these events and ends at `end`. */
  static of(start: number, end: number, events: readonly ChangeEvent[], epoch: string): EventBlock {
    const frames = events.map((event) => frameOf(event, epoch))
    const block = new EventBlock(
      start,
      frames.reduce((sum, { length }) => sum + length, 0),
    )
    for (const [at, event] of events.entries()) block.add(event, frames[at] as string)
    block.end = end
    return block
  }

  /** Adds the next event; returns false if the block has no room for it. */
  add({ sequence, avatar }: ChangeEvent, frame: string): boolean {
    // A frame is ASCII.
    if (this.#length + frame.length > this.#bytes.length) return false
    this.#length += this.#bytes.write(frame, this.#length, 'latin1')
    this.#sequences.push(sequence)
    this.#avatars.push(avatar)
    this.#ends.push(this.#length)
    this.end = sequence
    return true
  }

  /** The frames of all events after a sequence. */
  after(sequence: number): Buffer {
    // Most streams ask for the same frames.
    const { start, length, frames } = this.#asked
    if (start === sequence && length === this.#length) return frames
    const found = this.#bytes.subarray(this.#offsetOf(this.#firstAfter(sequence)), this.#length)
    this.#asked = { start: sequence, length: this.#length, frames: found }
    return found
  }

  /** The frames of some avatars' events after a sequence, copied: a few bytes that wait for a slow reader do not hold a whole block. */
  of(avatars: ReadonlySet<Avatar>, sequence: number): Buffer {
    const frames: Buffer[] = []
    for (let at = this.#firstAfter(sequence); at < this.#avatars.length; at++) {
      if (avatars.has(this.#avatars[at] as Avatar))
        frames.push(this.#bytes.subarray(this.#offsetOf(at), this.#ends[at]))
    }
    return Buffer.concat(frames)
  }

  #offsetOf(at: number): number {
    return this.#ends[at - 1] ?? 0
  }

  /** Index of the first event after a sequence. */
  #firstAfter(sequence: number): number {
    let [low, high] = [0, sequence <= this.start ? 0 : this.#sequences.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sequences[middle] as number) > sequence) high = middle
      else low = middle + 1
    }
    return low
  }
}

export function frameOf({ sequence, kind, avatar, id, counter, head, digest }: ChangeEvent, epoch: string): string {
  const data = JSON.stringify({ avatar, id, counter, head, digest })
  return `id: ${formatCursor(epoch, sequence)}\nevent: ${kind}\ndata: ${data}\n\n`
}

/** Tells a reader that it missed events: it must read the state again; the stream continues after the cursor. */
export function resetFrame(epoch: string, sequence: number): string {
  const cursor = formatCursor(epoch, sequence)
  return `id: ${cursor}\nevent: reset\ndata: ${JSON.stringify({ cursor })}\n\n`
}

/** Moves the reader's cursor without an event. */
export function cursorFrame(epoch: string, sequence: number): string {
  return `id: ${formatCursor(epoch, sequence)}\n\n`
}
