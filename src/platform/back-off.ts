import type { Randomness } from './environment.ts'

/**
 * Exponential back-off: how long to wait after consecutive failures, in milliseconds. Pure: every part may import this file.
 *
 * @param failures number of failures before the last one: 0 after the first failure
 * @returns `firstMs`, doubled for each further failure, at most `longestMs`
 */
export function backOffMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(firstMs * 2 ** failures, longestMs)
}

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
