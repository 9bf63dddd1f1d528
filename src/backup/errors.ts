/**
 * `not_a_backup`: no directory of this format. `damaged`: a file of it is not as it was written, or bytes on the way are
 * not. `not_empty`: there is something where a backup or a restored node should go. `incomplete`: not everything could be
 * restored. `unwritable`: the disk does not take it.
 */
export type BackupErrorCode = 'not_a_backup' | 'damaged' | 'not_empty' | 'incomplete' | 'unwritable'

/** Why a backup cannot be made or restored; the message says what to do. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
  readonly code: BackupErrorCode

  constructor(code: BackupErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
