import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTATIONS, type Mutation } from './mutations.ts'
import { liveThrough } from './seed-process.ts'
import type { Outcome } from './simulate.ts'

/** Where the compiled simulator, and the code that it runs, lie. */
const COMPILED = fileURLToPath(new URL('../..', import.meta.url))
const MUTANTS = join(COMPILED, '../mutants')

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
 * Plants bugs, each alone in a copy of the compiled code, and runs seeds until one shows it.
 *
 * @param jobs copies that run at once
 * @param told of each, in the order in which they end
 * @throws Error where the text that a mutation replaces is not there, or not once
 */
export async function runMutants(
  { seeds, only, jobs }: { readonly seeds: number; readonly only: readonly string[]; readonly jobs: number },
  told: (result: MutantResult) => void,
): Promise<void> {
  const chosen = MUTATIONS.filter(({ name }) => only.length === 0 || only.includes(name))
  for (const mutation of chosen) checkMutation(mutation)
  const left = chosen.values()
  const job = async (): Promise<void> => {
    for (const mutation of left) told(await runMutant(mutation, seeds))
  }
  await Promise.all(Array.from({ length: jobs }, job))
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

async function firstFailure(main: string, seeds: number): Promise<Found> {
  let seen = 0
  let failed: Outcome | undefined
  const { endless } = await liveThrough(main, { from: 1, seeds, untilFailure: true }, (outcome) => {
    seen += 1
    if (outcome.failure !== undefined) failed = outcome
  })
  if (failed !== undefined) return { seed: failed.seed, seeds: seen, invariant: failed.failure?.invariant ?? '' }
  if (endless !== undefined) return { seed: endless, seeds: seen + 1, invariant: 'it never ends' }
  return { seed: null, seeds: seen, invariant: '' }
}
