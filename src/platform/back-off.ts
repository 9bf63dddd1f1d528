/**
 * Exponential back-off: how long to wait after consecutive failures, in milliseconds. Pure: every part may import this file.
 *
 * @param failures number of failures before the last one: 0 after the first failure
 * @returns `firstMs`, doubled for each further failure, at most `longestMs`
 */
export function backOffMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(firstMs * 2 ** failures, longestMs)
}
