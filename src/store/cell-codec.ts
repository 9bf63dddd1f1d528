/**
 * A member's row: its JSON text `"key":value`, ready to be joined into an answer (empty if the member was deleted), then the
 * stamps that say which record wrote each part.
 */
import canonicalize from 'canonicalize'
import type { JsonValue } from '../record/types.ts'
import { cellValue, emptyCell, writeCell, type Cell } from '../state/cell.ts'
import { getMember, isJsonObject } from '../state/merge-patch.ts'
import type { Stamp } from '../state/order.ts'
import { ByteReader, ByteWriter, bytesText } from './bytes.ts'
import { ID_BYTES } from './keys.ts'
import { startRow } from './seal.ts'

/** Bits of a node's first byte. */
const UNIFORM = 1
const REPLACED = 2
const MERGED = 4
const HAS_VALUE = 8

/** Encodes a member. @returns the unsealed row, and whether it has a value (false: the member was deleted) */
export function encodeMember(key: string, cell: Cell): { row: Uint8Array; hasValue: boolean } {
  const value = cellValue(cell)
  const fragment = value === undefined ? '' : `${JSON.stringify(key)}:${canonicalize(value)}`
  const writer = startRow(fragment.length + 128)
  if (value === undefined) writer.varint(0).text(key)
  else writer.text(fragment)
  writeStamps(writer, cell)
  return { row: writer.finish(), hasValue: value !== undefined }
}

/** Encodes a cell in two parts: its value as canonical JSON (null if it was deleted), and its stamps. */
export function encodeCell(cell: Cell): { value: string | null; stamps: Uint8Array } {
  const value = cellValue(cell)
  const writer = new ByteWriter(128)
  writeStamps(writer, cell)
  return { value: value === undefined ? null : (canonicalize(value) as string), stamps: writer.finish() }
}

/** Decodes what `encodeCell` returned. @throws RangeError or SyntaxError if it is malformed */
export function decodeCell({ value, stamps }: { value: string | null; stamps: Uint8Array }): Cell {
  const reader = new ByteReader(stamps)
  const table = readStamps(reader)
  return readNode(reader, value === null ? undefined : (JSON.parse(value) as JsonValue), table)
}

function writeStamps(writer: ByteWriter, cell: Cell): void {
  const stamps = new StampTable()
  const tree = new ByteWriter(64)
  writeNode(tree, cell, stamps)
  stamps.write(writer)
  writer.bytes(tree.finish())
}

/** The `"key":value` text of a member's row, without decoding the rest; empty if the member was deleted. */
export function memberFragment(row: Uint8Array): Uint8Array {
  const reader = new ByteReader(row)
  return reader.bytes(reader.varint())
}

/** Decodes a member's row into its key and its cell. @throws RangeError or SyntaxError if the row is malformed */
export function decodeMember(row: Uint8Array): { key: string; cell: Cell } {
  const reader = new ByteReader(row)
  const fragment = reader.bytes(reader.varint())
  let key: string
  let value: JsonValue | undefined
  if (fragment.length === 0) {
    key = reader.text()
  } else {
    const object = JSON.parse(`{${bytesText(fragment)}}`) as Record<string, JsonValue>
    key = Object.keys(object)[0] as string
    value = getMember(object, key)
  }
  const stamps = readStamps(reader)
  return { key, cell: readNode(reader, value, stamps) }
}

class StampTable {
  readonly #stamps: Stamp[] = []
  readonly #indexes = new Map<string, number>()

  indexOf(stamp: Stamp): number {
    const key = `${stamp.id}${stamp.base}`
    let index = this.#indexes.get(key)
    if (index === undefined) {
      index = this.#stamps.push(stamp) - 1
      this.#indexes.set(key, index)
    }
    return index
  }

  write(writer: ByteWriter): void {
    writer.varint(this.#stamps.length)
    for (const stamp of this.#stamps)
      writer
        .u64(stamp.counter)
        .u8(stamp.base ? 1 : 0)
        .hex(stamp.id)
  }
}

function readStamps(reader: ByteReader): Stamp[] {
  const stamps: Stamp[] = []
  const count = reader.varint()
  for (let index = 0; index < count; index += 1) {
    stamps.push({ counter: reader.u64(), base: reader.u8() === 1, id: reader.hex(ID_BYTES) })
  }
  return stamps
}

function writeNode(writer: ByteWriter, cell: Cell, stamps: StampTable): void {
  const uniform = uniformStamp(cell)
  if (uniform !== null) {
    writer.u8(UNIFORM).varint(stamps.indexOf(uniform))
    return
  }
  const hasValue = cell.merged === null && cell.value !== undefined
  writer.u8((cell.replaced ? REPLACED : 0) | (cell.merged ? MERGED : 0) | (hasValue ? HAS_VALUE : 0))
  if (cell.replaced !== null) writer.varint(stamps.indexOf(cell.replaced))
  if (cell.merged === null) return
  writer.varint(stamps.indexOf(cell.merged)).varint(cell.children?.size ?? 0)
  // Sorted, so that equal cells give equal rows, whatever the order of arrival.
  for (const key of [...(cell.children?.keys() ?? [])].sort()) {
    writer.text(key)
    writeNode(writer, cell.children?.get(key) as Cell, stamps)
  }
}

function readNode(reader: ByteReader, value: JsonValue | undefined, stamps: readonly Stamp[]): Cell {
  const stamp = (): Stamp => {
    const found = stamps[reader.varint()]
    if (found === undefined) throw new RangeError('a stamp is not in the table')
    return found
  }
  const flags = reader.u8()
  const cell = emptyCell()
  if (flags & UNIFORM) {
    if (value === undefined) throw new RangeError('a value is missing')
    writeCell(cell, value, stamp())
    return cell
  }
  if (flags & REPLACED) cell.replaced = stamp()
  if (flags & HAS_VALUE) cell.value = value
  if (flags & MERGED) {
    if (!isJsonObject(value)) throw new RangeError('an object is missing')
    cell.merged = stamp()
    cell.children = new Map()
    for (let rest = reader.varint(); rest > 0; rest -= 1) {
      const key = reader.text()
      cell.children.set(key, readNode(reader, getMember(value, key), stamps))
    }
  }
  return cell
}

/** The stamp of a cell that one single write made; null if several writes contributed. */
function uniformStamp(cell: Cell): Stamp | null {
  if (cell.merged === null) return cell.value === undefined ? null : cell.replaced
  if (cell.replaced !== null) return null
  for (const child of cell.children?.values() ?? []) {
    const stamp = uniformStamp(child)
    if (stamp === null || stamp.id !== cell.merged.id || stamp.base !== cell.merged.base) return null
  }
  return cell.merged
}
