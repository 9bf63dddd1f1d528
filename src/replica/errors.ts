import { CodedError } from '../platform/errors.ts'

/**
 * `usage`: the arguments of the call are wrong. `not_followed`: the replica does not follow this avatar. `unsent`: signed writes
 * wait that would be lost. `queue_full`, `too_many`: a limit is reached.
 *
 * `locked`: another process has the data open. `unsupported`: the platform lacks something that keeps the data whole.
 * `wrong_network`, `newer`: the data is of another network, or of a newer version. `storage`: the disk cannot be read or written.
 * `closed`: the replica was closed.
 */
export type ReplicaErrorCode =
  | 'usage'
  | 'not_followed'
  | 'unsent'
  | 'queue_full'
  | 'too_many'
  | 'locked'
  | 'unsupported'
  | 'wrong_network'
  | 'newer'
  | 'storage'
  | 'closed'

/** The replica's own error. Failures of nodes and signers are a ClientError. */
export class ReplicaError extends CodedError<ReplicaErrorCode> {
  override readonly name = 'ReplicaError'

  constructor(code: ReplicaErrorCode, message: string, cause?: unknown) {
    super(code, message, cause === undefined ? {} : { cause })
  }
}
