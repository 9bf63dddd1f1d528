import type { Readable, Writable } from 'node:stream'

import type { EnvironmentVariables } from '../../config/environment-variables.ts'
import type { Environment } from '../../platform/environment.ts'

/** What a command takes from the process that runs it. */
export interface CommandContext {
  readonly environment: Environment
  readonly env: EnvironmentVariables
  readonly cwd: string
  /** How this program is called here, for advice that can be pasted: `avatar-kv`, or `npx avatar-kv` in a clone. */
  readonly command: string
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** Whether standard output is a terminal. */
  readonly terminal: boolean
  /** Standard output, for results that are bytes. */
  readonly stdout: Writable
  /** Shows a line on standard error that the next one replaces; an empty one removes it. Undefined without a terminal. */
  readonly draw: ((line: string) => void) | undefined
  /** Runs `clean` when SIGINT or SIGTERM ends the process. The returned function cancels this. */
  onInterrupt(clean: () => void): () => void
  /** Writes one line (or several) of result to standard output. */
  out(text: string): void
  /** Writes one line (or several) about the work to standard error. */
  note(text: string): void
}
