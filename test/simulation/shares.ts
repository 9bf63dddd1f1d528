import { fileURLToPath } from 'node:url'
import { ALL_WAITS, liveThrough } from './seed-process.ts'
import { replayCommand, type Outcome } from './simulate.ts'

const MAIN = fileURLToPath(new URL('main.js', import.meta.url))
/** Seeds that a process is given at a time: its start costs about a second, and all end at about the same time. */
const SHARE_SEEDS = 100

/**
 * Lives through seeds in several processes at once. A seed's outcome depends on nothing but the seed.
 *
 * @param told of each seed that ended, in no order
 */
export async function liveInShares(
  { from, seeds, jobs }: { readonly from: number; readonly seeds: number; readonly jobs: number },
  told: (outcome: Outcome) => void,
): Promise<void> {
  const end = from + seeds
  let next = from
  const job = async (): Promise<void> => {
    while (next < end) {
      const last = Math.min(end, next + SHARE_SEEDS)
      let begin = next
      next = last
      while (begin < last) {
        const { endless } = await liveThrough(MAIN, { from: begin, seeds: last - begin }, told)
        if (endless === undefined) break
        told(endlessOutcome(endless))
        begin = endless + 1
      }
    }
  }
  await Promise.all(Array.from({ length: jobs }, job))
}

function endlessOutcome(seed: number): Outcome {
  const failure = { invariant: 'it never ends', message: `${ALL_WAITS}\n  ${replayCommand(seed)}` }
  return { seed, hash: '', events: 0, virtualMs: 0, records: 0, looks: 0, synced: 0, failure }
}
