/**
 * How often a property runs: `standard` times, or `FAST_CHECK_RUNS` times where that is more.
 */
export function propertyRuns(standard: number): number {
  return Math.max(standard, Number(process.env['FAST_CHECK_RUNS'] ?? 0))
}

/** Time for one property, in milliseconds: a deep run takes as long as it takes. */
export const PROPERTY_TIMEOUT_MS = 30 * 60 * 1000
