import { messageOf } from '../platform/errors.ts'
import type { Timers } from '../platform/environment.ts'
import { SyncError } from './errors.ts'
import { decodeFrame } from './frame-decoder.ts'
import { encodeFrame } from './frame-encoder.ts'
import type { Frame } from './frame-types.ts'
import type { FrameStream } from './types.ts'

export type Channel = ReturnType<typeof createChannel>

/**
 * The frames of one session over a stream. Frames are sent in the order of the calls, one at a time. If the peer takes too
 * long, or after `fail`, the stream is aborted and every call rejects, pending ones included.
 *
 * @param options.stallMs longest wait for the peer, in milliseconds
 * @param options.count called with the bytes of every frame
 */
export function createChannel(
  stream: FrameStream,
  options: {
    readonly timers: Timers
    readonly stallMs: number
    readonly count: (direction: 'in' | 'out', bytes: number) => void
  },
) {
  const { timers, stallMs, count } = options
  let sent: Promise<void> = Promise.resolve()
  let failure: SyncError | undefined
  const waits = new Set<(error: SyncError) => void>()

  function send(frame: Frame): Promise<void> {
    const bytes = encodeFrame(frame)
    const sending = sent.then(() => guard(() => stream.send(bytes), stallMs, never))
    // The caller of this send gets its error. The next send finds the error by itself.
    sent = sending.catch(() => {})
    count('out', bytes.length)
    return sending
  }

  /**
   * The next frame; null once the peer has ended its side.
   *
   * @param isExcused whether the peer is waiting for this node; then it gets the same time again
   */
  async function receive(waitMs: number = stallMs, isExcused: () => boolean = never): Promise<Frame | null> {
    const bytes = await guard(() => stream.receive(), waitMs, isExcused)
    if (bytes === null) return null
    count('in', bytes.length)
    return decodeFrame(bytes)
  }

  /** The next frame; the end of the stream is an error here. */
  async function expect(waitMs?: number): Promise<Frame> {
    const frame = await receive(waitMs)
    if (frame === null) throw new SyncError('broken', 'The peer ended the session in the middle.')
    return frame
  }

  /** Aborts the stream; the first reason counts. */
  function fail(reason: SyncError): void {
    if (failure !== undefined) return
    failure = reason
    stream.abort(reason)
    for (const reject of [...waits]) reject(reason)
  }

  async function guard<T>(operation: () => Promise<T>, waitMs: number, isExcused: () => boolean): Promise<T> {
    if (failure !== undefined) throw failure
    return new Promise<T>((resolve, reject) => {
      const watch = (): (() => void) => timers.after(waitMs, late)
      const late = (): void => {
        if (isExcused()) cancel = watch()
        else fail(new SyncError('stalled', `The peer did not answer within ${Math.round(waitMs / 1_000)} s.`))
      }
      let cancel = watch()
      const over = (): void => {
        cancel()
        waits.delete(reject)
      }
      waits.add(reject)
      const settle = async (): Promise<void> => {
        try {
          const value = await operation()
          over()
          resolve(value)
        } catch (error) {
          over()
          fail(broken(error))
          reject(failure ?? broken(error))
        }
      }
      void settle()
    })
  }

  return {
    get failure() {
      return failure
    },
    send,
    receive,
    expect,
    fail,
    close: () => guard(() => stream.close(), stallMs, never),
  }
}

function broken(error: unknown): SyncError {
  return new SyncError('broken', `The stream broke: ${messageOf(error)}`, { cause: error })
}

const never = (): boolean => false
