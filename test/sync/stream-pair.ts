import type { FrameStream } from '../../src/sync/types.ts'

/** What a line does with frames on their way. */
export interface LineOptions {
  /** Bytes on their way to one side before `send` waits. Default 1 MiB, as of a libp2p stream. */
  readonly windowBytes?: number
  /** Breaks the stream instead of bringing the frame of this number, counted from 0 over both directions. */
  readonly cutAtFrame?: number
  /** Changes a frame on its way, or takes it away (null). `direction` is `'out'` for those of the first side. */
  readonly change?: (frame: Uint8Array, direction: 'out' | 'back', number: number) => Uint8Array | null
}

export interface Line {
  /** The side that opened it, and the other. */
  readonly streams: readonly [FrameStream, FrameStream]
  /** Frames that were brought, by both sides, in order. */
  readonly frames: { readonly direction: 'out' | 'back'; readonly bytes: number; readonly data: Uint8Array }[]
  /** Greatest number of bytes that waited to be received, on either side. */
  readonly mostWaitingBytes: () => number
}

class Side {
  readonly waiting: (Uint8Array | null)[] = []
  bytes = 0
  receiver: { resolve: (frame: Uint8Array | null) => void; reject: (error: Error) => void } | undefined
  senders: { resolve: () => void; reject: (error: Error) => void }[] = []
}

/** Two ends of a stream in memory; every frame takes a turn of the event loop. */
export function streamPair(options: LineOptions = {}): Line {
  const { windowBytes = 1_048_576, cutAtFrame = Infinity, change } = options
  const sides = [new Side(), new Side()] as const
  const frames: Line['frames'] = []
  let broken: Error | undefined
  let number = 0
  let most = 0

  function cut(reason: Error): void {
    if (broken !== undefined) return
    broken = reason
    for (const side of sides) {
      side.receiver?.reject(reason)
      side.receiver = undefined
      for (const { reject } of side.senders.splice(0)) reject(reason)
    }
  }

  function bring(to: Side, frame: Uint8Array | null): void {
    if (to.receiver !== undefined) {
      const { resolve } = to.receiver
      to.receiver = undefined
      return resolve(frame)
    }
    to.waiting.push(frame)
    to.bytes += frame?.length ?? 0
    most = Math.max(most, to.bytes)
  }

  function end(own: Side, other: Side, direction: 'out' | 'back'): FrameStream {
    let isClosed = false
    return {
      async send(frame) {
        if (isClosed) throw new Error('closed')
        await new Promise((resolve) => setImmediate(resolve))
        if (broken !== undefined) throw broken
        const at = number
        number += 1
        if (at >= cutAtFrame) {
          cut(new Error(`cut at frame ${at}`))
          throw broken
        }
        const changed = change === undefined ? frame : change(frame, direction, at)
        if (changed === null) return
        // A copy, as the wire makes one.
        const data = changed.slice()
        frames.push({ direction, bytes: data.length, data })
        bring(other, data)
        if (other.bytes <= windowBytes) return
        await new Promise<void>((resolve, reject) => other.senders.push({ resolve, reject }))
      },
      receive() {
        if (broken !== undefined) return Promise.reject(broken)
        const frame = own.waiting.shift()
        if (frame === undefined) {
          return new Promise((resolve, reject) => {
            own.receiver = { resolve, reject }
          })
        }
        own.bytes -= frame?.length ?? 0
        if (own.bytes <= windowBytes) for (const { resolve } of own.senders.splice(0)) resolve()
        return Promise.resolve(frame)
      },
      close() {
        if (!isClosed && broken === undefined) bring(other, null)
        isClosed = true
        return Promise.resolve()
      },
      abort: cut,
    }
  }

  return {
    streams: [end(sides[0], sides[1], 'out'), end(sides[1], sides[0], 'back')],
    frames,
    mostWaitingBytes: () => most,
  }
}
