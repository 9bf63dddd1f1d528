import { CodedError } from '../platform/errors.ts'

/**
 * - `value_too_large`: one array, text or number, with the keys that lead to it, is larger than a record may be.
 * - `null_member`: an object has a `null`, which no content can contain (RFC 7396 deletes by it). Arrays may contain `null`.
 * - `too_deep`: the nesting is deeper than a content may have.
 * - `not_json`: not a JSON value, a number outside the range of a double, or half a surrogate pair.
 * - `duplicate_namespace`: one namespace is given twice.
 * - `too_many_parts`: the contents need more parts than a snapshot may name.
 */
export type SnapshotErrorCode =
  | 'value_too_large'
  | 'null_member'
  | 'too_deep'
  | 'not_json'
  | 'duplicate_namespace'
  | 'too_many_parts'

/** A content cannot become a snapshot. `message` names the value and says what to do. */
export class SnapshotError extends CodedError<SnapshotErrorCode> {
  override readonly name = 'SnapshotError'
}
