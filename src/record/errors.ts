import { CodedError } from '../platform/errors.ts'

/** Why a record, or something that a record is made of, is invalid. */
export type RecordErrorCode =
  | 'payload_too_large'
  | 'byte_order_mark'
  | 'invalid_utf8'
  | 'too_deep'
  | 'too_many_members'
  | 'invalid_json'
  | 'not_an_object'
  | 'wrong_version'
  | 'unknown_type'
  | 'invalid_members'
  | 'wrong_network'
  | 'invalid_avatar'
  | 'invalid_created_at'
  | 'invalid_counter'
  | 'counter_above_created_at'
  | 'counter_not_next'
  | 'invalid_prev'
  | 'invalid_uuid'
  | 'invalid_platform'
  | 'invalid_identity'
  | 'invalid_patch'
  | 'invalid_state'
  | 'invalid_parts'
  | 'invalid_number'
  | 'lone_surrogate'
  | 'not_canonical'
  | 'invalid_signature'
  | 'high_s'
  | 'wrong_recovery'
  | 'invalid_batch'
  | 'invalid_secret_key'
  | 'wrong_secret_key'

/** A record is invalid, or cannot be made. `message` tells people what is wrong and what to do. */
export class RecordError extends CodedError<RecordErrorCode> {
  override readonly name = 'RecordError'
}

/** JSON text cannot be read. `message` tells people what is wrong, where, and what to do. */
export class JsonTextError extends CodedError<'too_complex' | 'invalid_json' | 'inexact_number' | 'duplicate_key'> {
  override readonly name = 'JsonTextError'
}
