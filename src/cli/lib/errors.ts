import { CodedError } from '../../platform/errors.ts'

/**
 * `usage`: the command was typed wrongly (exit code 2). `unreachable`: the node did not answer in time or at all.
 * `refused`: the node answered, and not with what was asked for. `unverified`: what the node showed is not what the
 * signed records say. `failed`: something else on this machine, such as a file.
 */
export type CliErrorCode = 'usage' | 'unreachable' | 'refused' | 'unverified' | 'failed'

/** Why a command ended without doing its work; the message is for the person at the terminal. */
export class CliError extends CodedError<CliErrorCode> {
  override readonly name = 'CliError'
}

export const EXIT_DONE = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2
