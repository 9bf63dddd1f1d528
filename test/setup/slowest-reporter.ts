import type { Reporter, TestModule } from 'vitest/node'

const SHOWN = 10

/** Prints the test files that took longest, at the end of a run of more files than it would list. */
export default class SlowestReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    if (modules.length <= SHOWN) return
    const timed = modules.map((module) => {
      const { collectDuration, setupDuration, duration } = module.diagnostic()
      return { name: module.relativeModuleId, seconds: (collectDuration + setupDuration + duration) / 1000 }
    })
    const slowest = timed.toSorted((a, b) => b.seconds - a.seconds).slice(0, SHOWN)
    const lines = slowest.map(({ name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${name}`)
    process.stdout.write(`\nThe ${SHOWN} slowest test files:\n${lines.join('\n')}\n`)
  }
}
