/**
 * Clock, timers and randomness of a node. They are parameters so that a simulation can run a network of nodes.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
}

export interface Timers {
  /** Calls `run` once after `delayMs` milliseconds. The returned function cancels it. Does not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}

/** A source of random bytes. */
export interface Randomness {
  /** `length` cryptographically secure random bytes. */
  bytes(length: number): Uint8Array
}

export interface Environment {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Randomness
}
