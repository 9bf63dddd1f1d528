/**
 * `usage`: the call makes no sense as it is. `not_followed`: the replica does not keep this avatar. `unsent`: signed writes wait
 * that would be lost. `queue_full`, `too_many`: a bound is reached.
 *
 * `locked`: another process has the data open. `unsupported`: the platform lacks what keeps the data whole. `wrong_network`,
 * `newer`: the data is of another network, or of a newer version. `storage`: the disk does not take or give it. `closed`: the
 * replica was closed.
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

/** The one error of the replica's own; what it asks of nodes and signers fails with a ClientError. */
export class ReplicaError extends Error {
  override readonly name = 'ReplicaError'
  readonly code: ReplicaErrorCode

  constructor(code: ReplicaErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.code = code
  }
}
