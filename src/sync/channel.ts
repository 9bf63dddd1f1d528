import { messageOf } from '../platform/errors.ts'
import type { Timers } from '../platform/environment.ts'
import { SyncError } from './errors.ts'
import { decodeFrame } from './frame-decoder.ts'
import { encodeFrame } from './frame-encoder.ts'
import type { Frame } from './frame-types.ts'
import type { FrameStream } from './types.ts'

export interface ChannelOptions {
  readonly timers: Timers
  /** Longest wait for the peer, in milliseconds. */
  readonly stallMs: number
  /** Called with the bytes of every frame. */
  readonly count: (direction: 'in' | 'out', bytes: number) => void
}

/**
 * The frames of one session over a stream. Frames are sent in the order of the calls, one at a time. If the peer takes too
 * long, or after `fail`, the stream is aborted and every call rejects, pending ones included.
 */
export class Channel {
  readonly #stream: FrameStream
  readonly #options: ChannelOptions
  #sent: Promise<void> = Promise.resolve()
  #failure: SyncError | undefined
  readonly #waits = new Set<(error: SyncError) => void>()

  constructor(stream: FrameStream, options: ChannelOptions) {
    this.#stream = stream
    this.#options = options
  }

  /** @throws SyncError */
  get failure(): SyncError | undefined {
    return this.#failure
  }

  send(frame: Frame): Promise<void> {
    const bytes = encodeFrame(frame)
    const sending = this.#sent.then(() => this.#guard(() => this.#stream.send(bytes), this.#options.stallMs, never))
    // The caller of this send gets its error. The next send finds the error by itself.
    this.#sent = sending.catch(() => {})
    this.#options.count('out', bytes.length)
    return sending
  }

  /**
   * The next frame; null once the peer has ended its side.
   *
   * @param isExcused whether the peer is waiting for this node; then it gets the same time again
   */
  async receive(waitMs: number = this.#options.stallMs, isExcused: () => boolean = never): Promise<Frame | null> {
    const bytes = await this.#guard(() => this.#stream.receive(), waitMs, isExcused)
    if (bytes === null) return null
    this.#options.count('in', bytes.length)
    return decodeFrame(bytes)
  }

  /** The next frame; the end of the stream is an error here. */
  async expect(waitMs?: number): Promise<Frame> {
    const frame = await this.receive(waitMs)
    if (frame === null) throw new SyncError('broken', 'The peer ended the session in the middle.')
    return frame
  }

  close(): Promise<void> {
    return this.#guard(() => this.#stream.close(), this.#options.stallMs, never)
  }

  /** Aborts the stream; the first reason counts. */
  fail(reason: SyncError): void {
    if (this.#failure !== undefined) return
    this.#failure = reason
    this.#stream.abort(reason)
    for (const reject of [...this.#waits]) reject(reason)
  }

  async #guard<T>(operation: () => Promise<T>, waitMs: number, isExcused: () => boolean): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    return new Promise<T>((resolve, reject) => {
      const watch = (): (() => void) => this.#options.timers.after(waitMs, late)
      const late = (): void => {
        if (isExcused()) cancel = watch()
        else this.fail(new SyncError('stalled', `The peer did not answer within ${Math.round(waitMs / 1_000)} s.`))
      }
      let cancel = watch()
      const over = (): void => {
        cancel()
        this.#waits.delete(reject)
      }
      this.#waits.add(reject)
      const settle = async (): Promise<void> => {
        try {
          const value = await operation()
          over()
          resolve(value)
        } catch (error) {
          over()
          this.fail(broken(error))
          reject(this.#failure ?? broken(error))
        }
      }
      void settle()
    })
  }
}

function broken(error: unknown): SyncError {
  const why = messageOf(error)
  return new SyncError('broken', `The stream broke: ${why}`, { cause: error })
}

function never(): boolean {
  return false
}
