/**
 * `npm run simulate`: lives through seeds, and prints for each that fails the command that shows it again.
 *
 *     npm run simulate -- [--seeds N] [--from K] [--json]   N seeds from K on (500 from 1)
 *     npm run simulate -- --seed K [--trace]                one seed, with every event
 *     npm run simulate -- --mutations [--only NAME] [--seeds N]   planted bugs: each must be found within N seeds (1,000)
 */
import { parseArgs } from 'node:util'
import { ALL_WAITS, runMutants, type MutantResult } from './mutants.ts'
import { replayCommand, simulate, type Outcome } from './simulate.ts'

const PROGRESS_SEEDS = 100

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    /** One line of JSON a seed, for the run over mutants. */
    lines: { type: 'boolean', default: false },
    'until-failure': { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
  },
})

function integer(name: 'seeds' | 'from' | 'seed', standard: number): number {
  const given = values[name] ?? String(standard)
  if (/^[0-9]{1,9}$/.test(given)) return Number(given)
  console.error(`--${name} takes a number of at most nine digits, not ${given}.`)
  return process.exit(2)
}

/** The seed that is being lived through. */
let current: number | undefined
process.on('exit', () => {
  if (current === undefined) return
  console.error(`seed ${current}: ${ALL_WAITS}\n  ${replayCommand(current)}`)
  process.exitCode = 1
})

if (values.mutations) await mutants(integer('seeds', 1_000))
else if (values.seed !== undefined) await one(integer('seed', 1))
else await many(integer('from', 1), integer('seeds', 500))

async function one(seed: number): Promise<void> {
  current = seed
  const outcome = await simulate(seed, values.trace ? (line) => console.log(line) : undefined)
  current = undefined
  console.log(JSON.stringify(outcome, undefined, 2))
  if (outcome.failure !== undefined) console.log(outcome.failure.message)
  process.exitCode = outcome.failure === undefined ? 0 : 1
}

async function many(from: number, seeds: number): Promise<void> {
  const start = performance.now()
  const failures: Outcome[] = []
  const totals = { events: 0, records: 0, looks: 0, synced: 0, virtualMs: 0 }
  let done = 0
  for (; done < seeds; done += 1) {
    current = from + done
    const outcome = await simulate(current)
    if (values.lines) console.log(JSON.stringify(outcome))
    totals.events += outcome.events
    totals.records += outcome.records
    totals.looks += outcome.looks
    totals.synced += outcome.synced
    totals.virtualMs += outcome.virtualMs
    if (outcome.failure !== undefined) {
      failures.push(outcome)
      if (!values.lines)
        console.error(`seed ${outcome.seed}: ${outcome.failure.message}\n  ${replayCommand(outcome.seed)}`)
      if (values['until-failure']) break
    }
    if (!values.lines && (done + 1) % PROGRESS_SEEDS === 0) console.error(`${done + 1} of ${seeds} seeds`)
  }
  current = undefined
  const seconds = (performance.now() - start) / 1_000
  process.exitCode = failures.length === 0 ? 0 : 1
  if (values.lines) return
  if (values.json) {
    console.log(JSON.stringify({ from, seeds: done, seconds, ...totals, failures }, undefined, 2))
    return
  }
  const hours = (totals.virtualMs / 3_600_000).toFixed(1)
  console.log(
    `${done} seeds from ${from} in ${seconds.toFixed(1)} s: ${failures.length} failed. ` +
      `${totals.events} events in ${hours} h of virtual time, ${totals.records} records, ` +
      `${totals.synced} moved by sync, ${totals.looks} states held against the oracle.`,
  )
}

async function mutants(seeds: number): Promise<void> {
  const results: MutantResult[] = []
  for await (const result of runMutants(seeds, values.only)) {
    results.push(result)
    const how = result.seed === null ? 'NOT FOUND' : `found after ${result.seeds}`
    if (!values.json) console.log(`${result.name.padEnd(36)} ${how.padEnd(18)} ${result.invariant}`)
  }
  const missed = results.filter(({ seed }) => seed === null)
  process.exitCode = missed.length === 0 && results.length > 0 ? 0 : 1
  if (values.json) console.log(JSON.stringify(results, undefined, 2))
  else console.log(`${results.length - missed.length} of ${results.length} planted bugs found within ${seeds} seeds`)
}
