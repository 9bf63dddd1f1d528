/**
 * Memory of cells: bytes on the heap of a 64-bit V8 without pointer compression, as in Node.js. The numbers are sizes of V8
 * objects and were measured (test/store/avatar-weight.test.ts).
 *
 * The size of a stored row is no measure: an empty object in an array takes 3 bytes in a row and 64 bytes on the heap.
 */
import type { JsonValue } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { Stamp } from '../state/order.ts'

const CELL_BYTES = 56
/** A map of up to four entries, and each further entry without its key. */
const MAP_BYTES = 195
const MAP_ENTRY_BYTES = 37
/** Entries in a map of minimal size. */
const SMALL_MAP_ENTRIES = 4
/** A stamp and its id of 66 characters. */
const STAMP_BYTES = 136
const STRING_BYTES = 16
const ARRAY_BYTES = 48
const EMPTY_ARRAY_BYTES = 32
const SLOT_BYTES = 8
const OBJECT_BYTES = 24
/** An object without members; V8 reserves room for four. */
const EMPTY_OBJECT_BYTES = 56
/**
 * An object with a key that no other object has: V8 gives such an object its own table. Counted for each object with a key
 * that is new to the member, which is too much if objects combine few such keys in new ways.
 */
const OWN_TABLE_BYTES = 200
/** A number that is not a 32-bit integer. */
const BOXED_NUMBER_BYTES = 16

/**
 * Approximate memory of a cell in bytes.
 *
 * @param counted stamps already counted, as cells that one record wrote share its stamp; this call adds the new ones
 */
export function cellWeight(cell: Cell, counted: Set<Stamp>): number {
  let bytes = CELL_BYTES + stampWeight(cell.replaced, counted) + stampWeight(cell.merged, counted)
  if (cell.value !== undefined) bytes += valueWeight(cell.value, new Set())
  if (cell.children === null) return bytes
  bytes += MAP_BYTES + Math.max(0, cell.children.size - SMALL_MAP_ENTRIES) * MAP_ENTRY_BYTES
  for (const [key, child] of cell.children) bytes += keyWeight(key) + cellWeight(child, counted)
  return bytes
}

function stampWeight(stamp: Stamp | null, counted: Set<Stamp>): number {
  if (stamp === null || counted.has(stamp)) return 0
  counted.add(stamp)
  return STAMP_BYTES
}

/** V8 stores one byte a character if all are at most U+00FF, otherwise two. */
export function textWeight(text: string): number {
  const bytes = STRING_BYTES + text.length * (/[^\0-\xff]/.test(text) ? 2 : 1)
  return Math.ceil(bytes / 8) * 8
}

/** The key of a member. V8 shares one copy of each short key. */
function keyWeight(key: string): number {
  return key.length <= 2 ? 0 : textWeight(key)
}

/** @param known keys of objects seen before */
function valueWeight(value: JsonValue, known: Set<string>): number {
  if (typeof value === 'string') return textWeight(value)
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 0 : BOXED_NUMBER_BYTES
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) {
    let bytes = value.length === 0 ? EMPTY_ARRAY_BYTES : ARRAY_BYTES
    for (const item of value) bytes += SLOT_BYTES + valueWeight(item, known)
    return bytes
  }
  const keys = Object.keys(value)
  if (keys.length === 0) return EMPTY_OBJECT_BYTES
  let bytes = OBJECT_BYTES
  let hasOwnTable = false
  for (const key of keys) {
    bytes += SLOT_BYTES + valueWeight(value[key] as JsonValue, known)
    if (known.has(key)) continue
    known.add(key)
    hasOwnTable = true
    bytes += textWeight(key)
  }
  return hasOwnTable ? bytes + OWN_TABLE_BYTES : bytes
}
