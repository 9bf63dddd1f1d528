import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTATIONS, type Mutation } from './mutations.ts'
import type { Outcome } from './simulate.ts'

/** Where the compiled simulator, and the code that it runs, lie. */
const COMPILED = fileURLToPath(new URL('../..', import.meta.url))
const MUTANTS = join(COMPILED, '../mutants')
/** What the simulator says where a seed can never end. */
export const ALL_WAITS = 'everything waits, and nothing is left to wait for'
/** Time without a word from a mutant after which it is held to hang. */
const MAX_SILENCE_MS = 120_000

/** Whether, and how, a planted bug was found. */
export interface MutantResult {
  readonly name: string
  /** The first seed that shows it; null if none of them does. */
  readonly seed: number | null
  /** Seeds that it took. */
  readonly seeds: number
  readonly invariant: string
  readonly seconds: number
}

/**
 * Plants bugs one at a time into a copy of the compiled code, and runs seeds until one shows it.
 *
 * @throws Error where the text that a mutation replaces is not there, or not once
 */
export async function* runMutants(seeds: number, only: readonly string[]): AsyncGenerator<MutantResult> {
  const chosen = MUTATIONS.filter(({ name }) => only.length === 0 || only.includes(name))
  for (const mutation of chosen) checkMutation(mutation)
  for (const mutation of chosen) yield await runMutant(mutation, seeds)
}

/** @throws Error unless every text to be replaced is there once */
function checkMutation({ name, changes }: Mutation): void {
  for (const { file, find } of changes) {
    const times = readFileSync(join(COMPILED, 'src', file), 'utf8').split(find).length - 1
    if (times !== 1) throw new Error(`Mutation ${name}: src/${file} has ${times} times, not once:\n${find}`)
  }
}

async function runMutant({ name, changes }: Mutation, seeds: number): Promise<MutantResult> {
  const start = performance.now()
  const directory = join(MUTANTS, name)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(MUTANTS, { recursive: true })
  cpSync(COMPILED, directory, { recursive: true })
  for (const { file, find, replace } of changes) {
    const path = join(directory, 'src', file)
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replace(find, () => replace),
    )
  }
  const found = await firstFailure(join(directory, 'test/simulation/main.js'), seeds)
  rmSync(directory, { recursive: true, force: true })
  return { name, ...found, seconds: (performance.now() - start) / 1_000 }
}

type Found = Pick<MutantResult, 'seed' | 'seeds' | 'invariant'>

function firstFailure(main: string, seeds: number): Promise<Found> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, '--seeds', `${seeds}`, '--until-failure', '--lines'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let seen = 0
    let failed: Outcome | undefined
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
        if (outcome.failure !== undefined) failed = outcome
      }
    })
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(watch)
      if (failed !== undefined) {
        resolve({ seed: failed.seed, seeds: seen, invariant: failed.failure?.invariant ?? '' })
      } else if (seen >= seeds) {
        resolve({ seed: null, seeds: seen, invariant: '' })
      } else if (isHung || errors.includes(ALL_WAITS)) {
        resolve({ seed: seen + 1, seeds: seen + 1, invariant: 'it never ends' })
      } else {
        reject(new Error(`${main} does not run: ${errors.trim()}`))
      }
    })
  })
}
