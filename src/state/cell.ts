/**
 * A value that remembers when each of its parts was written.
 *
 * When RFC 7396 patches apply in a total order, the latest writes decide each path: a patch with anything but an object
 * replaces the value, a patch with an object merges into it. So each path needs two stamps: of the latest replacement, and
 * of the latest merge after it. Patches can then be written in any order of arrival, each at the cost of its own size, and
 * the result equals applying all of them in order. A late record never makes the node read the history again.
 *
 * Guarantee: any sequence of the same writes, in any order and with repetitions, gives the same cell, except for the order
 * of members in `children`. Deleted paths stay as cells without a value until a base passes them (`cutCell`).
 */
import type { JsonObject, JsonValue } from '../record/types.ts'
import { isJsonObject, setMember } from './merge-patch.ts'
import { compareStamps, type Stamp } from './order.ts'

export interface Cell {
  /** The latest replacement: a value that is not an object, or a deletion. */
  replaced: Stamp | null
  /** The value that replaced it; undefined if it was deleted, or is an object now. */
  value: JsonValue | undefined
  /** The latest merge, if later than `replaced`: then this is an object with these children. */
  merged: Stamp | null
  children: Map<string, Cell> | null
}

export function emptyCell(): Cell {
  return { replaced: null, value: undefined, merged: null, children: null }
}

/** Writes a value with the stamp of its record: null deletes, an object merges, anything else replaces (RFC 7396). */
export function writeCell(cell: Cell, value: JsonValue, stamp: Stamp): void {
  if (cell.replaced !== null && compareStamps(stamp, cell.replaced) <= 0) return
  if (isJsonObject(value)) mergeIntoCell(cell, value, stamp)
  else replaceCell(cell, value, stamp)
}

function mergeIntoCell(cell: Cell, members: JsonObject, stamp: Stamp): void {
  if (cell.merged === null || compareStamps(stamp, cell.merged) > 0) cell.merged = stamp
  cell.value = undefined
  cell.children ??= new Map()
  for (const key of Object.keys(members)) {
    let child = cell.children.get(key)
    if (child === undefined) {
      child = emptyCell()
      cell.children.set(key, child)
    }
    writeCell(child, members[key] as JsonValue, stamp)
  }
}

function replaceCell(cell: Cell, value: JsonValue, stamp: Stamp): void {
  cutMerges(cell, stamp)
  cell.replaced = stamp
  if (cell.merged === null) cell.value = value === null ? undefined : value
}

/** Removes every write earlier than `stamp`. The cell may be void afterwards. */
export function cutCell(cell: Cell, stamp: Stamp): void {
  cutMerges(cell, stamp)
  if (cell.replaced !== null && compareStamps(cell.replaced, stamp) < 0) {
    cell.replaced = null
    cell.value = undefined
  }
}

function cutMerges(cell: Cell, stamp: Stamp): void {
  if (cell.merged === null) return
  if (compareStamps(cell.merged, stamp) < 0) {
    cell.merged = null
    cell.children = null
    return
  }
  for (const [key, child] of cell.children ?? []) {
    cutCell(child, stamp)
    if (isVoid(child)) cell.children?.delete(key)
  }
}

/** Whether the cell has no writes left. */
export function isVoid(cell: Cell): boolean {
  return cell.replaced === null && cell.merged === null
}

/** The JSON value of the cell; undefined if it was deleted. */
export function cellValue(cell: Cell): JsonValue | undefined {
  if (cell.merged === null) return cell.value
  const result: JsonObject = {}
  for (const [key, child] of cell.children ?? []) {
    const value = cellValue(child)
    if (value !== undefined) setMember(result, key, value)
  }
  return result
}
