export type VerifyErrorCode = 'closed' | 'no_engine'

/** The verification service cannot work. This error is not about any record. */
export class VerifyError extends Error {
  override readonly name = 'VerifyError'
  readonly code: VerifyErrorCode

  constructor(code: VerifyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
