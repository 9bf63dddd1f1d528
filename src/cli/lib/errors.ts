/**
 * `usage`: the command was typed wrongly (exit code 2). `unreachable`: the node did not answer in time or at all.
 * `refused`: the node answered, and not with what was asked for. `unverified`: what the node showed is not what the
 * signed records say. `failed`: something else on this machine, such as a file.
 */
export type CliErrorCode = 'usage' | 'unreachable' | 'refused' | 'unverified' | 'failed'

/** How a node answered that refused. */
export interface NodeRefusal {
  /** The HTTP status. */
  readonly status: number
  /** Of docs/protocol.md, "Errors"; undefined where the answer had none. */
  readonly code: string | undefined
  /** Seconds after which to ask again, where the node said so. */
  readonly retryAfterSeconds: number | undefined
  /** Where the avatar lives, as far as the node knows (docs/protocol.md, "Homes"). */
  readonly homes?: readonly string[]
}

/** Why a command ended without doing its work; the message is for the person at the terminal. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly code: CliErrorCode
  /** Set where a node answered with an error. */
  readonly refusal: NodeRefusal | undefined

  constructor(code: CliErrorCode, message: string, refusal?: NodeRefusal, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.refusal = refusal
  }
}

export const EXIT_DONE = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2
