import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A `.cpuprofile` of V8, as far as it is read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
    readonly children?: readonly number[]
  }[]
  /** µs of the monotonic clock, as `process.hrtime` has it. */
  readonly startTime: number
  /** A node's id each, and the µs since the sample before. */
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Share of a thread's working time by stage, in 0..1. */
export type Stages = ReadonlyMap<string, number>

/** A span of the monotonic clock, in µs. */
export interface Span {
  readonly from: number
  readonly to: number
}

export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/**
 * Reads what `node --cpu-prof` left in a folder: one profile a thread. A stage is a folder of `src/` or a package; what V8 or
 * Node.js spend is counted for the stage that called them, garbage collection on its own. Only samples in the span count.
 *
 * @returns stages of the main thread, and of all others together
 */
export function readStages(folder: string, span: Span): { main: Stages; verification: Stages } {
  const main = new Map<string, number>()
  const verification = new Map<string, number>()
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.cpuprofile'))) {
    // CPU.<date>.<time>.<pid>.<thread id>.<sequence>.cpuprofile
    const thread = Number(name.split('.')[4])
    addStages(
      JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile,
      span,
      thread === 0 ? main : verification,
    )
  }
  return { main: shares(main), verification: shares(verification) }
}

function addStages(profile: CpuProfile, span: Span, sums: Map<string, number>): void {
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])))
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))
  const stages = new Map<number, string | undefined>()
  const stageOf = (id: number): string | undefined => {
    if (stages.has(id)) return stages.get(id)
    const frame = frames.get(id)
    const parent = parents.get(id)
    let stage = frame && ownStage(frame.functionName, frame.url)
    if (stage === undefined && parent !== undefined) stage = stageOf(parent)
    stages.set(id, stage)
    return stage
  }
  let time = profile.startTime
  for (const [index, id] of profile.samples.entries()) {
    const spent = profile.timeDeltas[index] ?? 0
    time += spent
    if (time < span.from || time > span.to) continue
    if (frames.get(id)?.functionName === '(idle)') continue
    const stage = stageOf(id) ?? 'Node.js itself'
    sums.set(stage, (sums.get(stage) ?? 0) + spent)
  }
}

function ownStage(functionName: string, url: string): string | undefined {
  if (functionName === '(garbage collector)') return 'garbage collection'
  const own = /\/src\/(.+)\/[^/]+$/.exec(url)?.[1]
  if (own !== undefined && !url.includes('node_modules')) return own
  return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
}

function shares(sums: ReadonlyMap<string, number>): Stages {
  const total = [...sums.values()].reduce((sum, each) => sum + each, 0)
  return new Map([...sums].toSorted(([, a], [, b]) => b - a).map(([stage, sum]) => [stage, sum / total]))
}
