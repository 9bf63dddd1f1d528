import type { Randomness } from '../platform/environment.ts'

/** At random from 0 (inclusive) to 1 (exclusive). */
export function fraction(random: Randomness): number {
  const [a = 0, b = 0, c = 0] = random.bytes(3)
  return (a * 65_536 + b * 256 + c) / 2 ** 24
}

/** A delay at random between two, so that nodes do not call one another in step. */
export function between(random: Randomness, leastMs: number, mostMs: number): number {
  return leastMs + fraction(random) * (mostMs - leastMs)
}

/** A quarter more or less. */
export function jittered(random: Randomness, delayMs: number): number {
  return between(random, delayMs * 0.75, delayMs * 1.25)
}
