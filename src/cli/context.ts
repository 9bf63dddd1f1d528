import type { Readable } from 'node:stream'

import type { EnvironmentVariables } from '../config/environment-variables.ts'
import type { Environment } from '../environment.ts'

/** What a command takes from the process that runs it. */
export interface CommandContext {
  readonly environment: Environment
  readonly env: EnvironmentVariables
  readonly cwd: string
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** Whether standard output is a terminal. */
  readonly terminal: boolean
  /** Writes one line (or several) of result to standard output. */
  out(text: string): void
  /** Writes one line (or several) about the work to standard error. */
  note(text: string): void
}
