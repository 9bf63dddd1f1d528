import { CodedError } from '../platform/errors.ts'
import type { PutResult, RecordText } from './types.ts'

/**
 * `usage`: the call makes no sense as it is. `invalid_change`: what should be written is no JSON that a content can hold, or
 * breaks a rule of the protocol. `too_large`: one value of it fits into no record.
 *
 * `unreachable`: no node answered, or too few of them to know that there is nothing; nothing was sent that could have been kept.
 * `unconfirmed`: signed records were sent, and no node said that it has taken all of them: `records` has them, hand them in
 * again. `bad_answer`: a node answered what no node answers. `answer_too_large`: the contents that were asked for do not fit
 * into one answer (64 MiB); read the records, or an archive.
 * `refused`: a node did not do it, `nodeCode` says why. `superseded`: snapshots keep superseding the write, or the signer is
 * not asked again.
 *
 * `rejected`: the person at the wallet said no. `wallet`: the wallet, or what else signs, failed. `bad_signature`: the signer's signature is not the
 * avatar's over the text. `aborted`: the caller's signal ended it. `unsupported`: the platform lacks something that the call
 * needs; the message names it.
 *
 * `linked`: the write would not show, because the key is linked to an app, which alone writes it; or the key is linked to another avatar already.
 * `not_linked`: the key is not linked to the app, or no longer.
 */
export type ClientErrorCode =
  | 'usage'
  | 'invalid_change'
  | 'too_large'
  | 'unreachable'
  | 'unconfirmed'
  | 'bad_answer'
  | 'answer_too_large'
  | 'refused'
  | 'superseded'
  | 'rejected'
  | 'wallet'
  | 'bad_signature'
  | 'aborted'
  | 'unsupported'
  | 'linked'
  | 'not_linked'

/** What is known of an error beside its code. */
export interface ClientErrorDetails {
  /** The node that it happened at. */
  readonly node?: string | undefined
  /** HTTP status of the node's answer. */
  readonly status?: number | undefined
  /** Code of the node's answer, or of the rule that is broken. */
  readonly nodeCode?: string | undefined
  /** How long the node asks to wait, in seconds. */
  readonly retryAfterSeconds?: number | undefined
  /** Where the avatar lives now, as the node says: URLs and multiaddrs, unchecked. */
  readonly homes?: readonly string[] | undefined
  /** Where the fault is, as a JSON Pointer. */
  readonly path?: string | undefined
  /** Signed records that were sent, and that no node confirmed completely: sending them again is safe. */
  readonly records?: readonly RecordText[] | undefined
  readonly cause?: unknown
}

/** The one error of the client. `message` says to people what happened and what to do. */
export class ClientError extends CodedError<ClientErrorCode> {
  override readonly name = 'ClientError'
  readonly node: string | undefined
  readonly status: number | undefined
  readonly nodeCode: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly homes: readonly string[]
  readonly path: string | undefined
  readonly records: readonly RecordText[]
  /** What was written of a batch before it failed, avatar by avatar; the others' writes were not begun. */
  written: readonly PutResult[] = []

  constructor(code: ClientErrorCode, message: string, details: ClientErrorDetails = {}) {
    super(code, message, details.cause === undefined ? {} : { cause: details.cause })
    this.node = details.node
    this.status = details.status
    this.nodeCode = details.nodeCode
    this.retryAfterSeconds = details.retryAfterSeconds
    this.homes = details.homes ?? []
    this.path = details.path
    this.records = details.records ?? []
  }
}
