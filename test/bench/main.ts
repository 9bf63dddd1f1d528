import { parseArgs } from 'node:util'
import { cpus } from 'node:os'
import { archive } from './archive.ts'
import { budget } from './budget.ts'
import { chain } from './chain.ts'
import { explorer } from './explorer.ts'
import { gossip } from './gossip.ts'
import { ingest } from './ingest.ts'
import { listed } from './listed.ts'
import { million } from './million.ts'
import { peers } from './peers.ts'
import { PeersError } from './peers/install.ts'
import { reads } from './reads.ts'
import { replica } from './replica.ts'
import { markdown, table } from './report.ts'
import type { Bench, Section } from './report.ts'
import { streams } from './streams.ts'
import { syncBootstrap } from './sync-bootstrap.ts'
import { syncIndex } from './sync-index.ts'
import { verifyRate } from './verify-rate.ts'
import { wide } from './wide.ts'

const BENCHES: readonly Bench[] = [
  verifyRate,
  budget,
  ingest,
  reads,
  streams,
  chain,
  wide,
  million,
  gossip,
  listed,
  syncIndex,
  syncBootstrap,
  archive,
  replica,
  explorer,
  peers,
]

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, markdown: { type: 'boolean' }, only: { type: 'string', multiple: true } },
})
const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version }
const names = new Set(values.only ?? BENCHES.filter(({ onlyByName }) => onlyByName !== true).map(({ name }) => name))
const unknown = [...names].filter((name) => !BENCHES.some((bench) => bench.name === name))
if (unknown.length > 0) {
  console.error(`No bench ${unknown.join(', ')}. There are: ${BENCHES.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}

const sections: Section[] = []
for (const bench of BENCHES) {
  if (!names.has(bench.name)) continue
  const start = performance.now()
  const rows = await bench.run().catch(explain)
  const section = {
    bench: bench.name,
    about: bench.about,
    rows,
    notes: bench.notes ?? [],
    seconds: (performance.now() - start) / 1000,
  }
  sections.push(section)
  if (values.markdown === true) {
    console.log(markdown(section, `${machine.cores} cores of ${machine.cpu}, Node.js ${machine.node.slice(1)}`))
  } else if (values.json !== true) console.log(table(section))
}
if (values.json === true) console.log(JSON.stringify({ machine, sections }, undefined, 2))

/** What a person can mend is said without a stack. */
function explain(error: unknown): never {
  if (!(error instanceof PeersError)) throw error
  console.error(error.message)
  process.exit(1)
}
