/** `npm run simulate`: lives through seeds, and prints for each that fails the command that shows it again. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runMutants, type MutantResult } from './mutants.ts'
import { ALL_WAITS } from './seed-process.ts'
import { liveInShares } from './shares.ts'
import { replayCommand, simulate, type Outcome } from './simulate.ts'

const PROGRESS_SEEDS = 100

const HELP = `A simulated network of nodes, one world a seed.

  npm run simulate -- [--seeds N] [--from K]        N seeds from K on (500 from 1)
  npm run simulate -- --seed K [--trace]            one seed, with every event
  npm run simulate -- --mutations [--only NAME]     planted bugs, one at a time: each must be found within --seeds (1,000)

  --jobs N    processes at once (one a core)
  --json      the results as JSON

It ends with 1 if a seed failed, or a planted bug was not found.`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    jobs: { type: 'string' },
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

function integer(name: 'seeds' | 'from' | 'seed' | 'jobs', standard: number): number {
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

const jobs = Math.max(1, integer('jobs', availableParallelism()))
if (values.help) console.log(HELP)
else if (values.mutations) await mutants(integer('seeds', 1_000))
else if (values.seed !== undefined) await one(integer('seed', 1))
else if (values.lines) await lines(integer('from', 1), integer('seeds', 500))
else await many(integer('from', 1), integer('seeds', 500))

async function one(seed: number): Promise<void> {
  current = seed
  const outcome = await simulate(seed, values.trace ? (line) => console.log(line) : undefined)
  current = undefined
  console.log(JSON.stringify(outcome, undefined, 2))
  if (outcome.failure !== undefined) console.log(outcome.failure.message)
  process.exitCode = outcome.failure === undefined ? 0 : 1
}

async function lines(from: number, seeds: number): Promise<void> {
  for (current = from; current < from + seeds; current += 1) {
    const outcome = await simulate(current)
    console.log(JSON.stringify(outcome))
    if (outcome.failure !== undefined && values['until-failure']) break
  }
  current = undefined
}

async function many(from: number, seeds: number): Promise<void> {
  const start = performance.now()
  const failures: Outcome[] = []
  const totals = { events: 0, records: 0, looks: 0, synced: 0, virtualMs: 0 }
  let done = 0
  await liveInShares({ from, seeds, jobs }, (outcome) => {
    done += 1
    totals.events += outcome.events
    totals.records += outcome.records
    totals.looks += outcome.looks
    totals.synced += outcome.synced
    totals.virtualMs += outcome.virtualMs
    if (outcome.failure !== undefined) {
      failures.push(outcome)
      console.error(`seed ${outcome.seed}: ${outcome.failure.message}\n  ${replayCommand(outcome.seed)}`)
    }
    if (done % PROGRESS_SEEDS === 0) console.error(`${done} of ${seeds} seeds, ${failures.length} failed`)
  })
  const seconds = (performance.now() - start) / 1_000
  process.exitCode = failures.length === 0 ? 0 : 1
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
  await runMutants({ seeds, only: values.only, jobs }, (result) => {
    results.push(result)
    const how = result.seed === null ? 'NOT FOUND' : `found after ${result.seeds}`
    if (!values.json) console.log(`${result.name.padEnd(36)} ${how.padEnd(18)} ${result.invariant}`)
  })
  const missed = results.filter(({ seed }) => seed === null)
  process.exitCode = missed.length === 0 && results.length > 0 ? 0 : 1
  if (values.json) console.log(JSON.stringify(results, undefined, 2))
  else console.log(`${results.length - missed.length} of ${results.length} planted bugs found within ${seeds} seeds`)
}
