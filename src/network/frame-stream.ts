/**
 * Frames over a libp2p stream, with back-pressure both ways: `send` waits until the stream accepts more, and a side that does
 * not call `receive` gets no more than the window of the stream. There are no timeouts; callers have their own.
 *
 * Memory of one stream at most: the window (1 MiB, see limits.ts) and what is read ahead, one frame on its way in, and
 * one on its way out.
 */
import type { Stream } from '@libp2p/interface'

import type { FrameStream } from '../sync/types.ts'
import { NetworkError } from './errors.ts'
import { FrameReader, withLength } from './frame-reader.ts'

/** A stream is paused once this many bytes have arrived and were not read. */
const READ_AHEAD_BYTES = 65_536

export interface FrameStreamOptions {
  /** Longest frame that is accepted or sent, without its length; bytes. */
  readonly maxFrameBytes: number
  /** Called when the other side sent something that is not a frame; the stream is broken then. */
  readonly onInvalid: () => void
}

interface Receiver {
  readonly resolve: (frame: Uint8Array | null) => void
  readonly reject: (error: Error) => void
}

/** Frames over a stream. Nothing else may read or write the stream. */
export function createFrameStream(stream: Stream, { maxFrameBytes, onInvalid }: FrameStreamOptions): FrameStream {
  const reader = new FrameReader(maxFrameBytes)
  let receiver: Receiver | undefined
  let ended = stream.remoteWriteStatus === 'closed'
  let broken: Error | undefined
  let closing: Promise<void> | undefined
  let isResuming = false
  // Frames leave one by one, in the order of the calls.
  let last: Promise<void> = Promise.resolve()

  if (stream.status !== 'open' && stream.status !== 'closing') breakWith(undefined)
  stream.addEventListener('message', ({ data }) => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) reader.push(chunk)
    serve()
    pauseIfEnough()
  })
  stream.addEventListener('remoteCloseWrite', () => {
    ended = true
    serve()
  })
  stream.addEventListener('close', ({ error, local }) => {
    // Both sides closed the stream cleanly: what has arrived can still be read.
    if (error === undefined && ended) return
    breakWith(local === true ? error : undefined, error)
  })

  function breakWith(reason: Error | undefined, cause?: Error): void {
    broken ??=
      reason ?? new NetworkError('stream_broken', 'The stream broke off.', cause === undefined ? {} : { cause })
    receiver?.reject(broken)
    receiver = undefined
  }

  /** Settles the waiting `receive`, if a frame, the end or an error is there. */
  function serve(): void {
    if (receiver === undefined) return
    try {
      const frame = reader.next()
      if (frame === undefined && !(ended && stream.readBufferLength === 0)) return
      if (frame === undefined && reader.isWithinFrame) {
        throw new NetworkError('frame_invalid', 'The stream ended within a frame.')
      }
      const { resolve } = receiver
      receiver = undefined
      resolve(frame ?? null)
    } catch (error) {
      stream.abort(error as Error)
      // If the stream was already closed, the abort above notified no one.
      breakWith(error as Error)
      onInvalid()
    }
  }

  function pauseIfEnough(): void {
    if (isResuming || receiver !== undefined || reader.waitingBytes <= READ_AHEAD_BYTES) return
    if (stream.readStatus === 'readable') stream.pause()
  }

  /**
   * Delivers what has waited, at once, and then more. If a stream is paused during its `resume` (@libp2p/utils 7), it grants
   * its window all the same and never stops; so pause only afterwards.
   */
  function resume(): void {
    if (stream.readStatus !== 'paused') return
    isResuming = true
    try {
      stream.resume()
    } catch {
      // The connection is gone; what had arrived was delivered before.
    } finally {
      isResuming = false
    }
    pauseIfEnough()
  }

  async function write(frame: Uint8Array): Promise<void> {
    await room()
    mustBeWritable()
    stream.send(withLength(frame))
    await room()
    mustBeWritable()
  }

  function mustBeWritable(): void {
    if (broken !== undefined) throw broken
    if (stream.writeStatus === 'writable') return
    throw new NetworkError('stream_broken', closing === undefined ? 'The stream broke off.' : 'The stream was closed.')
  }

  /**
   * Resolves when the stream accepts more, or is closed. `stream.onDrain` does not work: from its second call on it resolves
   * at once (@libp2p/utils 7 makes its promise once and never renews it).
   */
  function room(): Promise<void> {
    return new Promise((resolve) => {
      // At the event libp2p only schedules the sending, in a microtask before this one.
      const look = (): void => queueMicrotask(check)
      const check = (): void => {
        if (stream.writableNeedsDrain && stream.writeStatus !== 'closed') return
        for (const event of EVENTS) stream.removeEventListener(event, look)
        resolve()
      }
      for (const event of EVENTS) stream.addEventListener(event, look)
      check()
    })
  }

  async function end(): Promise<void> {
    await last
    mustBeWritable()
    try {
      await stream.close()
    } catch (cause) {
      throw broken ?? new NetworkError('stream_broken', 'The stream broke off before all had left.', { cause })
    }
  }

  return {
    send(frame) {
      if (frame.length > maxFrameBytes) {
        return Promise.reject(
          new NetworkError('frame_invalid', `A frame has ${frame.length} bytes; ${maxFrameBytes} are allowed.`),
        )
      }
      const sent = last.then(() => write(frame))
      last = sent.catch(() => undefined)
      return sent
    },
    receive() {
      if (receiver !== undefined) return Promise.reject(new Error('A stream is asked for one frame at a time.'))
      if (broken !== undefined) return Promise.reject(broken)
      return new Promise((resolve, reject) => {
        receiver = { resolve, reject }
        serve()
        if (receiver !== undefined) resume()
        serve()
      })
    },
    close() {
      closing ??= end()
      return closing
    },
    abort(reason) {
      stream.abort(reason)
      breakWith(reason)
    },
  }
}

const EVENTS = ['drain', 'idle', 'close'] as const
