/**
 * Frames over a libp2p stream, with back-pressure both ways: `send` waits until the stream takes more, and who does not
 * call `receive` is sent no more than the stream's window. No timeouts: whoever uses it has its own.
 *
 * Memory of one stream at most: the window (1 MiB, see limits.ts) and what is read ahead, one frame on its way in, and
 * one on its way out.
 */
import type { Stream } from '@libp2p/interface'

import type { FrameStream } from '../sync/types.ts'
import { NetworkError } from './errors.ts'
import { FrameReader, withLength } from './frame-reader.ts'

/** A stream is paused when so many bytes are there that nobody has asked for. */
const READ_AHEAD_BYTES = 65_536

export interface FrameStreamOptions {
  /** Longest frame that is taken or sent, without its length; bytes. */
  readonly maxFrameBytes: number
  /** Told when the other side sent what is no frame; the stream is broken then. */
  readonly onInvalid: () => void
}

interface Receiver {
  readonly resolve: (frame: Uint8Array | null) => void
  readonly reject: (error: Error) => void
}

/** Frames over a stream that nobody else reads or writes. */
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
    // Both sides have ended it in good order: what has arrived can still be read.
    if (error === undefined && ended) return
    breakWith(local === true ? error : undefined, error)
  })

  function breakWith(reason: Error | undefined, cause?: Error): void {
    broken ??=
      reason ?? new NetworkError('stream_broken', 'The stream broke off.', cause === undefined ? {} : { cause })
    receiver?.reject(broken)
    receiver = undefined
  }

  /** Gives the one who waits what he waits for, if it is there. */
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
      // If the stream was closed already, the abort above told nobody.
      breakWith(error as Error)
      onInvalid()
    }
  }

  function pauseIfEnough(): void {
    if (isResuming || receiver !== undefined || reader.waitingBytes <= READ_AHEAD_BYTES) return
    if (stream.readStatus === 'readable') stream.pause()
  }

  /**
   * Lets what has waited come, at once, and then more. A stream that is paused in the middle of its `resume`
   * (@libp2p/utils 7) grants its window all the same, and then for ever: so only afterwards.
   */
  function resume(): void {
    if (stream.readStatus !== 'paused') return
    isResuming = true
    try {
      stream.resume()
    } catch {
      // The connection is gone and cannot be told; what had arrived was handed over before.
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
   * Resolves when the stream takes more, or is closed. Not `stream.onDrain`: from its second call on it resolves at once
   * (@libp2p/utils 7, whose promise is made once and never renewed).
   */
  function room(): Promise<void> {
    return new Promise((resolve) => {
      // At the event libp2p only plans to send on, in a microtask before this one.
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
