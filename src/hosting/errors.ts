import { CodedError } from '../platform/errors.ts'

/** Codes of rejected requests for a change; nothing was changed. */
export type HostingRefusalCode =
  | 'blocked'
  | 'disk_full'
  | 'disk_low'
  | 'hosting_busy'
  | 'hosting_closed'
  | 'hosting_full'
  | 'invalid_statement'
  | 'invite_required'
  | 'invite_unknown'
  | 'not_hosted'
  | 'pull_address_refused'
  | 'stale_statement'
  | 'wrong_peer'

/**
 * `unreadable`: a hosting file in the data directory cannot be used. `lost`: a hosting file existed before and is missing.
 * `failed`: a change could not be written, or data could not be deleted.
 */
export type HostingErrorCode = HostingRefusalCode | 'unreadable' | 'lost' | 'failed'

/** Why hosting was not changed; `message` says why and what to do, for people. */
export class HostingError extends CodedError<HostingErrorCode> {
  override readonly name = 'HostingError'
}
