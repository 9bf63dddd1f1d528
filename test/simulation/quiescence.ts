/**
 * Between two events of a simulated world, everything that can go on must have gone on: promises run to their end in one
 * turn of the event loop, and turns that the code under test asks for itself (`setImmediate`) are counted and waited for.
 * Nothing else can be under way: disk, network and timers of that world are events.
 */
export interface Quiescence {
  /** Resolves when no work is outstanding. */
  settle(): Promise<void>
  /** Gives the process its own `setImmediate` back. */
  release(): void
}

/** Turns that code may ask for between two events before it counts as running for ever. */
const MAX_TURNS = 100_000

export function watchQuiescence(): Quiescence {
  const original = globalThis.setImmediate
  let outstanding = 0
  const counting = (run: (...values: unknown[]) => void, ...values: unknown[]): NodeJS.Immediate => {
    outstanding += 1
    return original(() => {
      outstanding -= 1
      run(...values)
    })
  }
  globalThis.setImmediate = Object.assign(counting, { __promisify__: original.__promisify__ }) as typeof setImmediate
  return {
    async settle() {
      for (let turns = 0; turns === 0 || outstanding > 0; turns += 1) {
        if (turns > MAX_TURNS) throw new Error(`Work goes on without an event after ${MAX_TURNS} turns.`)
        await new Promise((resolve) => original(resolve))
      }
    },
    release() {
      globalThis.setImmediate = original
    },
  }
}
