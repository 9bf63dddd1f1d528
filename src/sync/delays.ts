import type { Randomness } from '../platform/environment.ts'

/** At random from 0 (inclusive) to 1 (exclusive). */
export function fraction(random: Randomness): number {
  const [a = 0, b = 0, c = 0] = random.bytes(3)
  return (a * 65_536 + b * 256 + c) / 2 ** 24
}

/** A random delay between two bounds, so that nodes do not call each other in lockstep. */
export function between(random: Randomness, leastMs: number, mostMs: number): number {
  return leastMs + fraction(random) * (mostMs - leastMs)
}

/** A random delay within a quarter of the given one. */
export function jittered(random: Randomness, delayMs: number): number {
  return between(random, delayMs * 0.75, delayMs * 1.25)
}
