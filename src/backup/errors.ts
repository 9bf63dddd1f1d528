import { CodedError } from '../platform/errors.ts'

/**
 * `not_a_backup`: the directory is not of this format. `damaged`: a file, or bytes in transit, differ from what was written.
 * `not_empty`: the target holds other files. `in_use`: another process works on the target. `incomplete`: not everything
 * could be restored. `unwritable`: the disk refuses a write.
 */
export type BackupErrorCode = 'not_a_backup' | 'damaged' | 'not_empty' | 'in_use' | 'incomplete' | 'unwritable'

/** Why a backup cannot be made or restored; the message says what to do. */
export class BackupError extends CodedError<BackupErrorCode> {
  override readonly name = 'BackupError'
}
