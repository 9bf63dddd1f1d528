import { parseArgs } from 'node:util'
import { replayCommand, simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
})
if (values.seed !== undefined) {
  const o = await simulate(Number(values.seed), values.trace ? (line) => console.log(line) : undefined)
  console.log(o)
} else {
  const start = performance.now()
  for (let seed = Number(values.from); seed < Number(values.from) + Number(values.seeds); seed += 1) {
    const o = await simulate(seed)
    if (o.failure !== undefined) console.log(seed, o.failure.message.slice(0, 600), replayCommand(seed))
  }
  console.log((performance.now() - start) / Number(values.seeds), 'ms a seed')
}
