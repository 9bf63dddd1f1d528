/** Answers to whoever asks for a change; nothing was changed. */
export type HostingRefusalCode =
  | 'blocked'
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
 * `unreadable`: a file of hosting in the data directory cannot be used. `lost`: it was there before and is gone. `failed`: a
 * change could not be written, or data could not be dropped.
 */
export type HostingErrorCode = HostingRefusalCode | 'unreadable' | 'lost' | 'failed'

/** Why hosting was not changed; `message` says it, and what to do, to people. */
export class HostingError extends Error {
  override readonly name = 'HostingError'
  readonly code: HostingErrorCode

  constructor(code: HostingErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
