/**
 * Bounds the validation of gossip messages: how many run at once, in total and for one peer, how long one may take, and how much
 * of one peer may wait. Peers take turns, so that a busy peer does not starve the others.
 *
 * libp2p's streams read as fast as the sender sends, so a peer with much waiting is paused: its stream gets no further window
 * until its queue is short again. Messages beyond the hard bounds are dropped.
 */
import type { Timers } from '../platform/environment.ts'

export interface ValidationLimits {
  /** Validations running at once. */
  readonly running: number
  /** Of these, for one peer. */
  readonly runningPerPeer: number
  /** A validation that takes longer counts as failed and frees its place; milliseconds. */
  readonly timeoutMs: number
  /** A peer with more bytes waiting is paused, until half of it is done. */
  readonly pauseAboveBytes: number
  /** The same, in messages. */
  readonly pauseAboveMessages: number
  /** Messages of one peer that wait at most. */
  readonly waitingPerPeer: number
  /** Bytes of all peers that wait at most. */
  readonly waitingBytes: number
}

/** `overloaded`: dropped, because too much is waiting. `timeout`: begun, but not finished in time. */
export type Unfinished = 'overloaded' | 'timeout'

interface Lane {
  readonly waiting: { readonly bytes: number; readonly start: () => void; readonly drop: () => void }[]
  waitingBytes: number
  running: number
  paused: boolean
}

export interface FlowControl {
  /** Stops reading from the peer's gossip streams; may be called again while paused. */
  pause(peer: string): void
  resume(peer: string): void
}

export function createValidationQueue(
  { timers, flow }: { timers: Timers; flow: FlowControl },
  limits: ValidationLimits,
) {
  // In order of turns: a lane that had its turn goes to the end.
  const lanes = new Map<string, Lane>()
  let running = 0
  let waitingBytes = 0
  let stopped = false

  function pump(): void {
    let progressed = true
    while (progressed && running < limits.running) {
      progressed = false
      for (const [peer, lane] of [...lanes]) {
        if (running >= limits.running) return
        if (lane.running >= limits.runningPerPeer) continue
        const next = lane.waiting.shift()
        if (next === undefined) continue
        lanes.delete(peer)
        lanes.set(peer, lane)
        lane.waitingBytes -= next.bytes
        waitingBytes -= next.bytes
        lane.running += 1
        running += 1
        progressed = true
        next.start()
      }
    }
  }

  function settle(peer: string, lane: Lane): void {
    lane.running -= 1
    running -= 1
    const short =
      lane.waitingBytes <= limits.pauseAboveBytes / 2 && lane.waiting.length <= limits.pauseAboveMessages / 2
    if (lane.paused && short) {
      lane.paused = false
      flow.resume(peer)
    }
    if (lane.running === 0 && lane.waiting.length === 0 && lanes.get(peer) === lane) lanes.delete(peer)
    pump()
  }

  return {
    /** Runs `task` when it is the peer's turn. Rejects with what the task throws. */
    run<T>(peer: string, bytes: number, task: () => Promise<T>): Promise<T | Unfinished> {
      const lane = lanes.get(peer) ?? { waiting: [], waitingBytes: 0, running: 0, paused: false }
      if (stopped || lane.waiting.length >= limits.waitingPerPeer || waitingBytes + bytes > limits.waitingBytes) {
        return Promise.resolve('overloaded')
      }
      lanes.set(peer, lane)
      return new Promise((resolve, reject) => {
        function start(): void {
          const cancel = timers.after(limits.timeoutMs, () => finish(() => resolve('timeout')))
          let finished = false
          function finish(report: () => void): void {
            if (finished) return
            finished = true
            cancel()
            report()
            settle(peer, lane)
          }
          task().then(
            (value) => finish(() => resolve(value)),
            (error: unknown) => finish(() => reject(error)),
          )
        }
        lane.waiting.push({ bytes, start, drop: () => resolve('overloaded') })
        lane.waitingBytes += bytes
        waitingBytes += bytes
        pump()
        if (lane.waitingBytes > limits.pauseAboveBytes || lane.waiting.length > limits.pauseAboveMessages) {
          lane.paused = true
          flow.pause(peer)
        }
      })
    },
    waitingBytes: () => waitingBytes,
    /** Drops everything that waits; it resolves as `overloaded`. */
    stop() {
      stopped = true
      for (const lane of lanes.values()) {
        for (const waiting of lane.waiting.splice(0)) waiting.drop()
        lane.waitingBytes = 0
      }
      waitingBytes = 0
    },
  }
}
