import type { FrameStream } from '../../src/sync/types.ts'
import type { Timeline } from './timeline.ts'
import type { Wires } from './wires.ts'

/** Bytes on their way to one side, or waiting there, before `send` waits. */
const WINDOW_BYTES = 16_384

interface Waiting<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** A process that can be talked to, as long as it lives. */
export interface Party {
  readonly number: number
  readonly isAlive: () => boolean
}

/**
 * Two ends of a stream over simulated wires: frames arrive in order and whole, late, or the stream breaks, which both
 * sides learn in their own time. Who is dead neither sends nor hears.
 *
 * @param observe told of every frame that is sent, by whom
 */
export function openStream(
  world: { readonly timeline: Timeline; readonly wires: Wires },
  near: Party,
  far: Party,
  observe: (from: number, to: number, frame: Uint8Array) => void,
): readonly [FrameStream, FrameStream] {
  const [left, right] = [new End(world, near, observe), new End(world, far, observe)]
  left.other = right
  right.other = left
  return [left, right]
}

class End implements FrameStream {
  other: End = this
  readonly #world: { readonly timeline: Timeline; readonly wires: Wires }
  readonly #owner: Party
  readonly #observe: (from: number, to: number, frame: Uint8Array) => void
  readonly #arrived: (Uint8Array | null)[] = []
  /** On their way here, or arrived and not received. */
  #bytes = 0
  #lastArrivalMs = 0
  #receiver: Waiting<Uint8Array | null> | undefined
  /** Sends of this side that wait for room on the other. */
  readonly #senders: Waiting<void>[] = []
  #broken: Error | undefined
  #isClosed = false

  constructor(
    world: { readonly timeline: Timeline; readonly wires: Wires },
    owner: Party,
    observe: (from: number, to: number, frame: Uint8Array) => void,
  ) {
    this.#world = world
    this.#owner = owner
    this.#observe = observe
  }

  async send(frame: Uint8Array): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken
    if (this.#isClosed) throw new Error('this side of the stream was closed')
    const data = frame.slice()
    this.other.#bytes += data.length
    this.#observe(this.#owner.number, this.other.#owner.number, data)
    this.#convey(`${data.length} bytes`, () => this.other.#bring(data))
    if (this.other.#bytes <= WINDOW_BYTES) return
    await new Promise<void>((resolve, reject) => this.#senders.push({ resolve, reject }))
  }

  receive(): Promise<Uint8Array | null> {
    const frame = this.#arrived.shift()
    if (frame !== undefined) {
      this.#took(frame)
      return Promise.resolve(frame)
    }
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    return new Promise((resolve, reject) => {
      this.#receiver = { resolve, reject }
    })
  }

  async close(): Promise<void> {
    if (!this.#isClosed && this.#broken === undefined) this.#convey('ends', () => this.other.#bring(null))
    this.#isClosed = true
  }

  abort(reason: Error): void {
    if (this.#broken !== undefined) return
    this.#break(reason)
    const told = new Error(`the other side broke the stream: ${reason.message}`)
    this.#convey('breaks', () => this.other.#break(told))
  }

  /** Lets something reach the other side, after all that was sent before; or breaks the stream. */
  #convey(label: string, arrive: () => void): void {
    const { timeline, wires } = this.#world
    const [from, to] = [this.#owner.number, this.other.#owner.number]
    const { delayMs, isLost } = wires.frame(from, to)
    this.other.#lastArrivalMs = Math.max(this.other.#lastArrivalMs, timeline.nowMs + delayMs)
    timeline.after(this.other.#lastArrivalMs - timeline.nowMs, `stream ${from}>${to} ${label}`, () => {
      const isGone = !this.other.#owner.isAlive()
      if (isLost || isGone) {
        const error = new Error(isGone ? 'nobody is there' : 'the simulated stream broke')
        this.#break(error)
        this.other.#break(error)
      } else arrive()
    })
  }

  #bring(frame: Uint8Array | null): void {
    if (this.#broken !== undefined) return
    if (this.#receiver === undefined) {
      this.#arrived.push(frame)
      return
    }
    const { resolve } = this.#receiver
    this.#receiver = undefined
    this.#took(frame)
    resolve(frame)
  }

  #took(frame: Uint8Array | null): void {
    this.#bytes -= frame?.length ?? 0
    const { other } = this
    if (this.#bytes > WINDOW_BYTES || other.#senders.length === 0 || this.#broken !== undefined) return
    this.#convey('has room', () => {
      for (const { resolve } of other.#senders.splice(0)) resolve()
    })
  }

  #break(error: Error): void {
    if (this.#broken !== undefined || !this.#owner.isAlive()) return
    this.#broken = error
    this.#receiver?.reject(error)
    this.#receiver = undefined
    for (const { reject } of this.#senders.splice(0)) reject(error)
  }
}
