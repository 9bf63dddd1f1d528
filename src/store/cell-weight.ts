/**
 * What cells take in memory, in bytes on the heap of a 64-bit V8 without pointer compression, as Node.js has it. The
 * numbers are sizes of V8's objects, and were measured (test/store/avatar-weight.test.ts).
 *
 * The bytes of a stored row say nothing of it: an array of empty objects takes 3 bytes each there, and 64 here.
 */
import type { JsonValue } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { Stamp } from '../state/order.ts'

const CELL_BYTES = 56
/** A map of up to four entries, and one more entry of a larger one, its key aside. */
const MAP_BYTES = 195
const MAP_ENTRY_BYTES = 37
/** Entries that a map of the least size has room for. */
const SMALL_MAP_ENTRIES = 4
/** A stamp and its id of 66 characters. */
const STAMP_BYTES = 136
const STRING_BYTES = 16
const ARRAY_BYTES = 48
const EMPTY_ARRAY_BYTES = 32
const SLOT_BYTES = 8
const OBJECT_BYTES = 24
/** An object without members has room for four. */
const EMPTY_OBJECT_BYTES = 56
/**
 * An object with a key that no other object has: V8 gives such objects a table of their own. Counted for each object with a
 * key that is new to the member, which is too much where few such keys are used again and again in new combinations.
 */
const OWN_TABLE_BYTES = 200
/** A number that is no integer of 32 bits. */
const BOXED_NUMBER_BYTES = 16

/**
 * About how many bytes a cell takes.
 *
 * @param counted stamps that are counted elsewhere: cells that one record wrote share its stamp; those met here are added
 */
export function cellWeight(cell: Cell, counted: Set<Stamp>): number {
  let bytes = CELL_BYTES + stampWeight(cell.replaced, counted) + stampWeight(cell.merged, counted)
  if (cell.value !== undefined) bytes += valueWeight(cell.value, new Set())
  if (cell.children === null) return bytes
  bytes += mapWeight(cell.children.size)
  for (const [key, child] of cell.children) bytes += keyWeight(key) + cellWeight(child, counted)
  return bytes
}

function mapWeight(entries: number): number {
  return MAP_BYTES + Math.max(0, entries - SMALL_MAP_ENTRIES) * MAP_ENTRY_BYTES
}

function stampWeight(stamp: Stamp | null, counted: Set<Stamp>): number {
  if (stamp === null || counted.has(stamp)) return 0
  counted.add(stamp)
  return STAMP_BYTES
}

/** A string of characters up to U+00FF takes one byte each, any other two. */
export function textWeight(text: string): number {
  return aligned(STRING_BYTES + text.length * (/[^\0-\xff]/.test(text) ? 2 : 1))
}

/** The key of a member; V8 has one copy of each short key, whatever uses it. */
function keyWeight(key: string): number {
  return key.length <= 2 ? 0 : textWeight(key)
}

/** @param known keys of objects that were met before */
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

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8
}
