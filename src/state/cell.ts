/**
 * A value that remembers when each of its parts was written.
 *
 * RFC 7396 patches, applied in a total order, decide every path by its latest writes: a patch that gives a path
 * something other than an object replaces what stood there, one that gives an object merges into it. So it is enough to
 * keep, for each path, the latest replacement and the latest merge after it. A patch may then be written in whatever
 * order it arrives, at the cost of its own size, and the result is the one of applying all in order: a late record never
 * makes the history be read again.
 *
 * Guarantee: after any sequence of `write` calls, in any order and with repetitions, the cell is the same, member order
 * in `children` aside. Deleted paths stay as cells without a value until the base passes them (`cut`).
 */
import type { JsonObject, JsonValue } from '../record/types.ts'
import { isJsonObject, setMember } from './merge-patch.ts'
import { compareStamps, type Stamp } from './order.ts'

export interface Cell {
  /** The latest replacement: by a value that is no object, or by a deletion. */
  replaced: Stamp | null
  /** What it was replaced by; undefined where it was deleted, or is an object now. */
  value: JsonValue | undefined
  /** The latest merge, if later than `replaced`: then this is an object with these children. */
  merged: Stamp | null
  children: Map<string, Cell> | null
}

export function emptyCell(): Cell {
  return { replaced: null, value: undefined, merged: null, children: null }
}

/** Writes one value at one time: null deletes, an object merges, anything else replaces (RFC 7396). */
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

/** Forgets every write earlier than `stamp`. The cell may be void afterwards. */
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

/** Whether nothing was ever written, or all of it was cut. */
export function isVoid(cell: Cell): boolean {
  return cell.replaced === null && cell.merged === null
}

/** The JSON value that the cell holds now; undefined where it was deleted. */
export function cellValue(cell: Cell): JsonValue | undefined {
  if (cell.merged === null) return cell.value
  const result: JsonObject = {}
  for (const [key, child] of cell.children ?? []) {
    const value = cellValue(child)
    if (value !== undefined) setMember(result, key, value)
  }
  return result
}
