import type { Stream } from '@libp2p/interface'

import type { Timers } from '../platform/environment.ts'

export interface PacerLimits {
  /** A stream with more waiting bytes delays the next message. */
  readonly aboveBytes: number
  /** One message waits at most this long, in milliseconds. */
  readonly messageMs: number
  /** A stream that stays above for this long no longer delays messages, until it is below again; milliseconds. */
  readonly patienceMs: number
}

/** Interval at which the streams are checked. */
const STEP_MS = 5

/** A stream of libp2p, with the bytes that wait to be sent. */
export type PacedStream = Pick<Stream, 'writeBufferLength'>

/**
 * Makes senders wait while streams are full. Gossipsub never waits: it fills the buffer of a stream until the stream is
 * dropped with everything in it. Waiting here delays own messages and, in validation, those of peers, which slows the peers
 * down.
 *
 * Messages pass one by one, in order of arrival. A peer that does not read can delay the others for at most `patienceMs`.
 */
export function createPacer(
  { timers, streams }: { timers: Timers; streams: () => readonly PacedStream[] },
  limits: PacerLimits,
): { pass(): Promise<void> } {
  const aboveForMs = new WeakMap<PacedStream, number>()
  let last: Promise<void> = Promise.resolve()

  /** Streams that are worth waiting for. */
  function full(): PacedStream[] {
    return streams().filter((stream) => {
      const above = stream.writeBufferLength > limits.aboveBytes
      if (!above) aboveForMs.delete(stream)
      return above && (aboveForMs.get(stream) ?? 0) < limits.patienceMs
    })
  }

  async function wait(): Promise<void> {
    for (let waitedMs = 0; waitedMs < limits.messageMs; waitedMs += STEP_MS) {
      const waitFor = full()
      if (waitFor.length === 0) return
      await new Promise<void>((resolve) => {
        timers.after(STEP_MS, resolve)
      })
      for (const stream of waitFor) aboveForMs.set(stream, (aboveForMs.get(stream) ?? 0) + STEP_MS)
    }
  }

  return {
    pass() {
      last = last.then(wait)
      return last
    },
  }
}
