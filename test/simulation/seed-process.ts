import { spawn } from 'node:child_process'
import type { Outcome } from './simulate.ts'

/** What the simulator says where a seed can never end. */
export const ALL_WAITS = 'everything waits, and nothing is left to wait for'
/** Time without a word from a process after which it is held to hang. */
const MAX_SILENCE_MS = 120_000

export interface SeedRange {
  readonly from: number
  readonly seeds: number
  readonly untilFailure?: boolean
}

/**
 * Lives through seeds in a process of their own.
 *
 * @param main the compiled simulator
 * @param told of each seed that ended, in order
 * @returns the seed that can never end, where there is one; the seeds after it are not lived through
 * @throws Error where it does not run
 */
export function liveThrough(
  main: string,
  { from, seeds, untilFailure = false }: SeedRange,
  told: (outcome: Outcome) => void,
): Promise<{ readonly endless?: number }> {
  const flags = ['--from', `${from}`, '--seeds', `${seeds}`, '--lines', ...(untilFailure ? ['--until-failure'] : [])]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
    let seen = 0
    let hasFailed = false
    let isHung = false
    let errors = ''
    const hung = (): void => {
      isHung = true
      child.kill('SIGKILL')
    }
    let watch = setTimeout(hung, MAX_SILENCE_MS)
    let rest = ''
    child.stderr.on('data', (data: Buffer) => {
      errors = (errors + data.toString()).slice(-2_000)
    })
    child.stdout.on('data', (data: Buffer) => {
      clearTimeout(watch)
      watch = setTimeout(hung, MAX_SILENCE_MS)
      const lines = (rest + data.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const outcome = JSON.parse(line) as Outcome
        seen += 1
        hasFailed ||= outcome.failure !== undefined
        told(outcome)
      }
    })
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(watch)
      if (seen >= seeds || (untilFailure && hasFailed)) resolve({})
      else if (isHung || errors.includes(ALL_WAITS)) resolve({ endless: from + seen })
      else reject(new Error(`${main} does not run: ${errors.trim()}`))
    })
  })
}
