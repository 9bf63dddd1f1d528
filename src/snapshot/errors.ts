/**
 * `value_too_large`: one array, text or number, with the keys that lead to it, takes more than a record may hold.
 * `null_member`: an object has a `null`, which no content can hold (RFC 7396 deletes by it); inside arrays it may stand.
 * `too_deep`: nests deeper than a content may. `not_json`: no JSON value, a number beyond a double, or half a surrogate pair.
 * `duplicate_namespace`: one namespace is given twice. `too_many_parts`: the whole takes more parts than a snapshot may name.
 */
export type SnapshotErrorCode =
  | 'value_too_large'
  | 'null_member'
  | 'too_deep'
  | 'not_json'
  | 'duplicate_namespace'
  | 'too_many_parts'

/** Why a content cannot become a snapshot. `message` says where, and what to do, to people. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
  readonly code: SnapshotErrorCode

  constructor(code: SnapshotErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
