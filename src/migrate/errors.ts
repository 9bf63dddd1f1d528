import { CodedError } from '../platform/errors.ts'

/**
 * Why a migration ended before it had moved everything.
 *
 * - `unreachable`: a host did not answer, several times in a row. `failed`: it gave a wrong answer.
 * - `network_differs`: the hosts are of different networks. `unknown_avatar`: the old host has nothing of the avatar.
 * - `source_unsound`: the old host does not hand out what it shows, or hands out something else.
 * - `target_refuses`: the new host does not take records; `refused` says which codes and how many.
 * - `target_unsound`: the new host acknowledged records that it does not show.
 * - `moving`: the avatar is written to faster than it can be moved.
 * - `work_dir`: the folder of the staging store cannot be used. `stopped`: the caller stopped it.
 */
export type MigrateErrorCode =
  | 'unreachable'
  | 'failed'
  | 'network_differs'
  | 'unknown_avatar'
  | 'source_unsound'
  | 'target_refuses'
  | 'target_unsound'
  | 'moving'
  | 'work_dir'
  | 'stopped'

/** Why a migration ended. What was moved until then is sound and stays; the next run resumes from there. */
export class MigrateError extends CodedError<MigrateErrorCode> {
  override readonly name = 'MigrateError'
  /** Records that the new host refused, by its codes. */
  readonly refused: Readonly<Record<string, number>>

  constructor(
    code: MigrateErrorCode,
    message: string,
    options: ErrorOptions & { readonly refused?: Readonly<Record<string, number>> } = {},
  ) {
    super(code, message, options)
    this.refused = options.refused ?? {}
  }
}

/** A call to a host failed. */
export class HostError extends Error {
  override readonly name = 'HostError'
  /** Whether the same call may succeed later, and after how many seconds if the host said so. */
  readonly retry: { readonly afterSeconds: number | undefined } | null
  /** A code of docs/protocol.md, "Errors", if the host gave one. */
  readonly code: string | undefined
  readonly isUnreachable: boolean

  constructor(
    message: string,
    options: {
      readonly retry?: { readonly afterSeconds: number | undefined }
      readonly code?: string | undefined
      readonly isUnreachable?: boolean
    } = {},
  ) {
    super(message)
    this.retry = options.retry ?? null
    this.code = options.code
    this.isUnreachable = options.isUnreachable ?? false
  }
}

/** The error of a migration that ends because a call to a host failed. */
export function hostFailed(error: HostError): MigrateError {
  return new MigrateError(error.isUnreachable ? 'unreachable' : 'failed', error.message, { cause: error })
}
