/**
 * Which record set or removed a value: read from the stamps of a cell (see `cell.ts`), without searching the history.
 *
 * Guarantee: the record found is the last one, in the order in which records apply, that wrote to the path or replaced
 * something above it. A base removes the stamps of what it does not contain, so nothing is found for that.
 */
import type { Avatar, JsonObject, JsonValue, RecordBody, RecordId, StateEntry } from '../record/types.ts'
import { isVoid, type Cell } from './cell.ts'
import type { NamespaceName } from './content.ts'
import { getMember, isJsonObject } from './merge-patch.ts'
import type { Stamp } from './order.ts'

/** Which record set or removed a value (docs/protocol.md, "Provenance"). */
export interface Provenance {
  readonly avatar: Avatar
  readonly platform: string
  readonly identity: string
  /** JSON Pointer (RFC 6901). */
  readonly path: string
  /**
   * `set`: the path has a value. `removed`: that record deleted the value, or replaced or deleted something above it.
   * `unset`: no record that counts has written there, and the members below are null.
   */
  readonly kind: 'set' | 'removed' | 'unset'
  /** Where that record wrote: the path, or one above it. */
  readonly at: string | null
  readonly id: RecordId | null
  readonly counter: number | null
  /** Unix seconds, as claimed by the author. */
  readonly created_at: number | null
  /** The type of the record. A snapshot replaced older records, so it does not tell which record first wrote the value. */
  readonly by: RecordBody['type'] | null
}

/** What a cell says about a path into it. */
export interface Trace {
  readonly kind: 'set' | 'removed'
  readonly stamp: Stamp
  /** Number of tokens from the cell to where the record wrote. */
  readonly depth: number
}

/**
 * The record that decided the value at a path below a cell.
 *
 * @param tokens from the cell on; none for the cell itself. For an object the answer is the record that last wrote into it.
 * @returns undefined if no record has written there
 */
export function traceCell(cell: Cell, tokens: readonly string[], depth = 0): Trace | undefined {
  if (isVoid(cell)) return undefined
  const [token, ...rest] = tokens
  if (cell.merged === null) {
    if (cell.replaced === null) return undefined
    const stands = cell.value !== undefined && valueAt(cell.value, tokens) !== undefined
    return { kind: stands ? 'set' : 'removed', stamp: cell.replaced, depth }
  }
  if (token === undefined) return { kind: 'set', stamp: cell.merged, depth }
  const child = cell.children?.get(token)
  const below = child === undefined ? undefined : traceCell(child, rest, depth + 1)
  if (below !== undefined) return below
  return cell.replaced === null ? undefined : { kind: 'removed', stamp: cell.replaced, depth }
}

/** The value at a path (RFC 6901, section 4); undefined if there is none. */
function valueAt(value: JsonValue, tokens: readonly string[]): JsonValue | undefined {
  let current: JsonValue | undefined = value
  for (const token of tokens) {
    if (Array.isArray(current)) current = /^(0|[1-9]\d{0,9})$/.test(token) ? current[Number(token)] : undefined
    else current = isJsonObject(current) ? getMember(current, token) : undefined
  }
  return current
}

/** Whether a merge patch (RFC 7396) decides the value at a path: it writes there, or replaces something above. */
function decides(patch: JsonObject, tokens: readonly string[]): boolean {
  let value: JsonValue = patch
  for (const token of tokens) {
    if (!isJsonObject(value)) return true
    const next = getMember(value, token)
    if (next === undefined) return false
    value = next
  }
  return true
}

/** Whether one layer of a snapshot (its own state, or a part's) decides the value at a path. */
export function layerDecides(layer: readonly StateEntry[], name: NamespaceName, tokens: readonly string[]): boolean {
  return layer.some(
    ({ platform, identity, content }) =>
      platform === name.platform && identity === name.identity && decides(content, tokens),
  )
}
