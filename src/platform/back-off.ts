/**
 * How long to wait after failures in a row: exponential back-off. Pure: every part may import this file.
 *
 * @param failures before the last one: 0 after the first failure
 * @returns `firstMs`, doubled with every failure, and at most `longestMs`
 */
export function backOffMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(firstMs * 2 ** failures, longestMs)
}
