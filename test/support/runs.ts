/**
 * Returns how often a property runs: `standard` times in a whole run and in CI, a share of that in the quick scope of `npm test`
 * (config/vitest.config.ts sets PROPERTY_SHARE), but at least `least` times: name it if the test counts what the runs found. FAST_CHECK_RUNS raises
 * the number for a deep search.
 */
export function propertyRuns(standard: number, least = 10): number {
  const share = Number(process.env['PROPERTY_SHARE'] ?? 1)
  const runs = Math.max(Math.round(standard * share), Math.min(standard, least))
  return Math.max(runs, Number(process.env['FAST_CHECK_RUNS'] ?? 0))
}

/** Time for one property, in milliseconds: a deep run takes as long as it takes. */
export const PROPERTY_TIMEOUT_MS = 30 * 60 * 1000
