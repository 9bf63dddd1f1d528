import type { IngestResult } from '../../ingest/types.ts'
import { ResultError } from '../lib/errors.ts'

/** Seconds after which to retry a refused record: the reason passes with time or with other records. */
const REFUSED_RETRY_S = 60

/** Returns the answer to a call that writes one record, if the record was not stored. */
export function errorOfResult({ status, code, message, retry }: IngestResult): ResultError {
  const explained = (fallback: string) => message ?? fallback
  switch (status) {
    case 'invalid':
      return new ResultError(400, code ?? 'invalid_record', explained('The record is not valid.'))
    case 'superseded':
      return new ResultError(
        409,
        'superseded',
        'A snapshot has replaced the records that this write was built on. Request a new payload and sign it.',
      )
    case 'pending':
      return new ResultError(
        409,
        'pending',
        'The write is stored but not visible yet: this node lacks records that the write was built on and asks other ' +
          'nodes for them. Read again later.',
      )
    case 'refused': {
      const text = explained('This node does not accept the record.')
      if (retry !== true) return new ResultError(403, code ?? 'refused', text)
      return new ResultError(503, code ?? 'refused', text, { retryS: REFUSED_RETRY_S })
    }
    default:
      throw new Error(`The status ${status} of a record is not an error.`)
  }
}
