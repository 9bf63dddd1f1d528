import type { IngestResult } from '../../ingest/types.ts'
import { ResultError } from '../lib/errors.ts'

/** When a refused record may be offered again, in seconds: what refuses it changes with the clock or with other records. */
const REFUSED_RETRY_S = 60

/** The answer to a call that writes one record, where that record was not stored. */
export function errorOfResult({ status, code, message, retry }: IngestResult): ResultError {
  const explained = (fallback: string) => message ?? fallback
  switch (status) {
    case 'invalid':
      return new ResultError(400, code ?? 'invalid_record', explained('The record is not valid.'))
    case 'superseded':
      return new ResultError(
        409,
        'superseded',
        'A snapshot has replaced what this write was built on. Request a new payload and sign that.',
      )
    case 'pending':
      return new ResultError(
        409,
        'pending',
        'The write is kept but not visible: this node lacks records that it was built on, and is looking for them.',
      )
    case 'refused': {
      const text = explained('This node does not take the record.')
      if (retry !== true) return new ResultError(403, code ?? 'refused', text)
      return new ResultError(503, code ?? 'refused', text, { 'retry-after': String(REFUSED_RETRY_S) })
    }
    default:
      throw new Error(`a record with the status ${status} is no error`)
  }
}
