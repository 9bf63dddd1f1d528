import { selectEngine } from '../../src/verify/select-engine.ts'
import { watchQuiescence } from './quiescence.ts'
import { Violation } from './violation.ts'
import { SimulatedWorld } from './world.ts'

/** What became of one seed. */
export interface Outcome {
  readonly seed: number
  /** Names everything that happened, in order: equal for equal seeds. */
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly records: number
  /** Times that a node's state was held against the oracle. */
  readonly looks: number
  /** Records that sync moved in the last lives of the nodes, counted at both ends. */
  readonly synced: number
  readonly failure?: { readonly invariant: string; readonly message: string }
}

const engine = await selectEngine()

/**
 * Lives through one seed's world.
 *
 * @param print takes every line of the trace
 */
export async function simulate(seed: number, print?: (line: string) => void): Promise<Outcome> {
  const quiescence = watchQuiescence()
  const world = new SimulatedWorld(seed, { engine, quiescence }, print)
  let failure: Outcome['failure']
  const unhandled = (error: unknown): void => world.fail(error)
  process.on('unhandledRejection', unhandled)
  try {
    await world.run()
  } catch (error) {
    failure = {
      invariant: error instanceof Violation ? error.invariant : 'no unexpected error',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }
  } finally {
    process.off('unhandledRejection', unhandled)
    quiescence.release()
  }
  const { timeline, ledger, checker } = world
  return {
    seed,
    hash: timeline.traceHash(),
    events: timeline.events,
    virtualMs: timeline.nowMs,
    records: [...ledger.all()].length,
    looks: checker.looks,
    synced: world.moved(),
    ...(failure === undefined ? {} : { failure }),
  }
}

/** The command that shows a seed's world again. */
export function replayCommand(seed: number): string {
  return `npm run simulate -- --seed ${seed} --trace`
}
