import { CodedError } from '../platform/errors.ts'

export type VerifyErrorCode = 'closed' | 'no_engine'

/** The verification service cannot work. This error is not about any record. */
export class VerifyError extends CodedError<VerifyErrorCode> {
  override readonly name = 'VerifyError'
}
