/**
 * What a node takes from the world around it, handed in so that a network of nodes can also run in a simulation.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
}

export interface Timers {
  /** Calls `run` once after `delayMs` milliseconds; the returned function cancels it. Does not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}

/** Where random bytes come from. */
export interface Randomness {
  /** `length` cryptographically secure random bytes. */
  bytes(length: number): Uint8Array
}

export interface Environment {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Randomness
}
