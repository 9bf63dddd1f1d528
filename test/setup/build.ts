import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Builds `dist/` if a source changed, before the tests that start processes: they run what users run. The projects share one build. */
export function setup(): void {
  execFileSync(process.execPath, ['config/build.js', '--if-needed'], { cwd: ROOT, stdio: 'inherit' })
}
