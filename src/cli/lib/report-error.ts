import { CommanderError } from 'commander'

import { ClientError } from '../../client/errors.ts'
import { CodedError, codeOf, messageOf } from '../../platform/errors.ts'
import { fileProblem } from '../../platform/files.ts'
import { toCliError } from './client-error.ts'
import type { CommandContext } from './context.ts'
import { CliError, EXIT_DONE, EXIT_FAILED, EXIT_USAGE } from './errors.ts'
import { jsonText, printable } from './text.ts'

/** What was tried, by system call, if its name does not say. */
const TRIED: Readonly<Record<string, string>> = {
  access: 'find',
  chmod: 'change the mode of',
  fsync: 'write',
  link: 'make',
  lstat: 'find',
  mkdir: 'make the folder',
  rm: 'remove',
  rmdir: 'remove',
  scandir: 'read the folder',
  stat: 'find',
  unlink: 'remove',
}

/** Whether the errors of a command line are to be JSON. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).includes('--json')
}

/**
 * Says on standard error why a command failed: as text, or with `--json` as `{"error":{"code","message"}}` on one line.
 *
 * @returns the exit code
 */
export function reportError(thrown: unknown, context: CommandContext, json: boolean): number {
  const error = thrown instanceof ClientError ? toCliError(thrown) : thrown
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT_DONE
    // Commander has written the text already.
    const message = error.code === 'commander.help' ? 'Name a command; --help lists them.' : error.message
    if (json) context.note(errorJson('usage', message.replace(/^error: /, '')))
    return EXIT_USAGE
  }
  const { code, message, stack } = described(error)
  if (json) context.note(errorJson(code, message))
  else context.note(`avatar-kv: ${stack === undefined ? message : `unexpected error: ${stack}`}`)
  const isUsage = (error instanceof CliError && error.code === 'usage') || (error as Error).name === 'ConfigError'
  return isUsage ? EXIT_USAGE : EXIT_FAILED
}

function errorJson(code: string, message: string): string {
  return jsonText({ error: { code, message } })
}

function described(error: unknown): { code: string; message: string; stack?: string } {
  // These are addressed to the person at the terminal: the message says it all.
  if (error instanceof CodedError) return { code: error.code, message: error.message }
  const code = codeOf(error)
  if (error instanceof Error && 'syscall' in error && code !== undefined) {
    const { syscall, path } = error as NodeJS.ErrnoException
    const what = `${TRIED[syscall ?? ''] ?? syscall} ${printable(path ?? 'a file')}`
    return { code: 'failed', message: `Cannot ${what}: ${fileProblem(error)}.` }
  }
  const message = messageOf(error)
  return { code: 'unexpected', message, stack: (error instanceof Error ? error.stack : undefined) ?? message }
}
