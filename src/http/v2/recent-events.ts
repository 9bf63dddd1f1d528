import type { ChangeEvent } from '../../store/types.ts'
import { BLOCK_BYTES, EventBlock, frameOf } from './event-frames.ts'

/** The newest events, ready to be sent. Memory is bounded: the oldest block makes room for a new one. */
export class RecentEvents {
  readonly #epoch: string
  readonly #maxBlocks: number
  #blocks: EventBlock[] = []
  #start: number
  #end: number

  /** @param end the newest sequence; events after it can be added */
  constructor(epoch: string, end: number, maxBytes: number) {
    this.#epoch = epoch
    this.#maxBlocks = Math.max(1, Math.floor(maxBytes / BLOCK_BYTES))
    this.#start = end
    this.#end = end
  }

  /** All events after this sequence are here. */
  get start(): number {
    return this.#start
  }

  /** The newest sequence. */
  get end(): number {
    return this.#end
  }

  /** Adds events that follow `end`. */
  add(events: readonly ChangeEvent[]): void {
    for (const event of events) {
      const frame = frameOf(event, this.#epoch)
      if (this.#blocks.at(-1)?.add(event, frame) !== true) {
        const block = new EventBlock(this.#end, BLOCK_BYTES)
        block.add(event, frame)
        this.#blocks.push(block)
      }
      this.#end = event.sequence
    }
    if (this.#blocks.length <= this.#maxBlocks) return
    this.#blocks = this.#blocks.slice(-this.#maxBlocks)
    this.#start = this.#blocks[0]?.start ?? this.#end
  }

  /** Forgets all events up to a sequence that is not older than `end`. */
  skipTo(sequence: number): void {
    this.#blocks = []
    this.#end = Math.max(this.#end, sequence)
    this.#start = this.#end
  }

  /** The block with the first event after a sequence; undefined if there is none, or if that event may be older than `start`. */
  blockAfter(sequence: number): EventBlock | undefined {
    if (sequence < this.#start || sequence >= this.#end) return undefined
    let at = this.#blocks.length - 1
    while (at > 0 && (this.#blocks[at] as EventBlock).start > sequence) at -= 1
    return this.#blocks[at]
  }
}
