import type { Randomness } from '../platform/environment.ts'
import { NegentropyError } from './errors.ts'
import { MessageReader, type Range } from './message-reader.ts'
import { MAX_LIST_HEAD_BYTES, MAX_SKIP_BYTES, MessageWriter } from './message-writer.ts'
import { OpenRanges, type Span } from './open-ranges.ts'
import { boundBetween, compareBounds } from './order.ts'
import { cutPoints, MIN_ITEMS_TO_SPLIT } from './split.ts'
import type { Bound, Item, RangeIndex } from './types.ts'
import { fingerprint, FINGERPRINT, FINGERPRINT_BYTES, ID_BYTES, ID_LIST, SKIP } from './wire.ts'

/** Items per read of the index, so that a long list is not in memory twice. */
const ITEMS_PER_READ = 1024

const NO_ID = new Uint8Array(0)
const START: Bound = { timestamp: 0, id: NO_ID }
const INFINITY: Bound = { timestamp: Infinity, id: NO_ID }
/** Bytes that close a full message: a `Skip`, and the fingerprint of all that follows (bound at infinity, mode, digest). */
const REMAINDER_BYTES = MAX_SKIP_BYTES + 3 + FINGERPRINT_BYTES

export interface TurnSettings {
  /** Ranges that this side asked about in its last message; undefined for a responder. */
  readonly open: OpenRanges | undefined
  /** Bytes; 0 means no limit. */
  readonly frameSizeLimit: number
  readonly maxHavePerMessage: number
  readonly random: Pick<Randomness, 'bytes'> | undefined
}

/**
 * One turn of a reconciliation: reads a message range by range and writes the answer. Invariant between ranges: the answer
 * covers everything up to `#lower`, whose rank is `#begin`; if `#skipping`, a `Skip` up to `#lower` is still to be written.
 */
export class Turn {
  readonly have: Uint8Array[] = []
  readonly need: Uint8Array[] = []
  /** The ranges that the answer asks about, and those still to ask about. */
  readonly asked = new OpenRanges()
  readonly #index: RangeIndex
  readonly #size: number
  readonly #settings: TurnSettings
  readonly #room: number
  readonly #writer = new MessageWriter()
  #lower = START
  #begin = 0
  #skipping = false

  constructor(index: RangeIndex, settings: TurnSettings) {
    this.#index = index
    this.#size = index.size()
    this.#settings = settings
    this.#room = settings.frameSizeLimit === 0 ? Infinity : settings.frameSizeLimit - REMAINDER_BYTES
  }

  /** Whether the answer is the version byte alone: nothing is left to say. */
  get silent(): boolean {
    return this.#writer.length === 1
  }

  /** The answer as written so far. */
  message(): Uint8Array {
    return this.#writer.finish()
  }

  /** The first message: the whole set. */
  async begin(): Promise<void> {
    await this.#ask(INFINITY, this.#size)
  }

  /** Answers a message that is known to be well-formed. An initiator also collects the differences. */
  async answer(message: Uint8Array): Promise<void> {
    const reader = new MessageReader(message)
    let behind = false
    for (let range = reader.next(); range !== undefined; range = reader.next()) {
      if (range.mode === SKIP) {
        this.#passTo(range.upper)
        behind = true
      } else if (this.#lower.timestamp !== Infinity) {
        if (behind) this.#begin = await this.#rank(this.#lower)
        behind = false
        const end = await this.#rank(range.upper)
        if (!(await this.#answerRange(range, end))) return this.#closeFull()
      }
    }
  }

  async #rank(bound: Bound): Promise<number> {
    if (bound.timestamp === Infinity || this.#begin === this.#size) return this.#size
    return this.#index.lowerBound(this.#begin, this.#size, bound)
  }

  async #fingerprint(begin: number, end: number): Promise<Uint8Array> {
    return fingerprint(await this.#index.sum(begin, end), end - begin)
  }

  /** Answers one range. Returns false if the message is full; it then covers everything before `#lower`. */
  async #answerRange(range: Range, end: number): Promise<boolean> {
    const { upper, payload, mode } = range
    const { open, maxHavePerMessage } = this.#settings
    if (open === undefined && mode === ID_LIST) return this.#list(upper, end)
    if (mode === FINGERPRINT && sameBytes(payload, await this.#fingerprint(this.#begin, end))) {
      return this.#settle(upper, end)
    }
    const spans = open?.within(this.#lower, upper)
    if (spans !== undefined && !isWhole(spans, this.#lower, upper)) return this.#askAgain(spans, upper, end)
    if (mode === FINGERPRINT) return this.#ask(upper, end)
    const count = end - this.#begin
    if (count > maxHavePerMessage) return this.#ask(upper, end)
    if (this.have.length + count > maxHavePerMessage) return this.#askWhole(upper, end)
    await this.#compare(payload, end)
    return this.#settle(upper, end)
  }

  /** Asks about the open spans of a range that is partly settled. */
  async #askAgain(spans: readonly Span[], upper: Bound, end: number): Promise<boolean> {
    for (const span of spans) {
      if (compareBounds(this.#lower, span.lower) < 0) this.#settle(span.lower, await this.#rank(span.lower))
      if (!(await this.#askWhole(span.upper, await this.#rank(span.upper)))) return false
    }
    return compareBounds(this.#lower, upper) < 0 ? this.#settle(upper, end) : true
  }

  /** Describes the range up to `upper` in parts. */
  async #ask(upper: Bound, end: number): Promise<boolean> {
    return this.#write(upper, end, () => this.#split(this.#begin, end, upper))
  }

  /** Describes the range up to `upper` by one fingerprint. */
  async #askWhole(upper: Bound, end: number): Promise<boolean> {
    const digest = await this.#fingerprint(this.#begin, end)
    return this.#write(upper, end, () => this.#writer.fingerprint(upper, digest))
  }

  /** Marks a range as settled: the answer skips it. */
  #settle(upper: Bound, end: number): true {
    this.#passTo(upper)
    this.#begin = end
    return true
  }

  #passTo(upper: Bound): void {
    this.#skipping = true
    this.#lower = upper
  }

  async #write(upper: Bound, end: number, run: () => void | Promise<void>): Promise<boolean> {
    const mark = this.#writer.mark()
    if (this.#skipping) this.#writer.skip(this.#lower)
    await run()
    if (this.#writer.length > this.#room) {
      this.#writer.backTo(mark)
      return false
    }
    this.asked.add(this.#lower, upper)
    this.#skipping = false
    this.#lower = upper
    this.#begin = end
    return true
  }

  /** Lists the ids of a range, or as many as fit. */
  async #list(upper: Bound, end: number): Promise<boolean> {
    const free = this.#room - this.#writer.length - MAX_SKIP_BYTES - MAX_LIST_HEAD_BYTES
    const fitting = Math.min(end - this.#begin, Math.floor(free / ID_BYTES))
    if (this.#begin + fitting === end) {
      const ids = await this.#ids(this.#begin, end)
      return this.#write(upper, end, () => this.#writer.idList(upper, ids))
    }
    if (fitting > 0) {
      const cut = this.#begin + fitting
      const ids = await this.#ids(this.#begin, cut)
      const between = await this.#boundAt(cut)
      await this.#write(between, cut, () => this.#writer.idList(between, ids))
    }
    return false
  }

  /** Closes a full message with the fingerprint of everything from here on. */
  async #closeFull(): Promise<void> {
    if (this.#skipping) this.#writer.skip(this.#lower)
    this.#writer.fingerprint(INFINITY, await this.#fingerprint(this.#begin, this.#size))
    const open = this.#settings.open?.within(this.#lower, INFINITY) ?? []
    for (const span of open) this.asked.add(span.lower, span.upper)
  }

  /** Describes a range that differs: a list of ids if it has few items, else fingerprints of its parts. */
  async #split(begin: number, end: number, upper: Bound): Promise<void> {
    if (end - begin < MIN_ITEMS_TO_SPLIT) return this.#writer.idList(upper, await this.#ids(begin, end))
    const cuts = cutPoints(begin, end, this.#settings.random)
    const [uppers, digests] = await Promise.all([
      Promise.all(cuts.map((cut) => this.#boundAt(cut))),
      Promise.all([begin, ...cuts].map((from, part) => this.#fingerprint(from, cuts[part] ?? end))),
    ])
    for (const [part, digest] of digests.entries()) this.#writer.fingerprint(uppers[part] ?? upper, digest)
  }

  /** The shortest bound between the item before a rank and the item at it. */
  async #boundAt(rank: number): Promise<Bound> {
    const [previous, next] = await this.#index.items(rank - 1, rank + 1)
    if (previous === undefined || next === undefined) throw new RangeError(`The index has no item of rank ${rank}.`)
    return boundBetween(previous, next)
  }

  async #ids(begin: number, end: number): Promise<Uint8Array[]> {
    const ids: Uint8Array[] = []
    await this.#read(begin, end, (item) => ids.push(item.id))
    return ids
  }

  async #read(begin: number, end: number, take: (item: Item) => void): Promise<void> {
    for (let from = begin; from < end; from += ITEMS_PER_READ) {
      for (const item of await this.#index.items(from, Math.min(end, from + ITEMS_PER_READ))) take(item)
    }
  }

  /** Collects the differences between the items of a range and the other side's list. */
  async #compare(list: Uint8Array, end: number): Promise<void> {
    const theirs = new Map<string, Uint8Array>()
    for (let at = 0; at < list.length; at += ID_BYTES) {
      const id = list.subarray(at, at + ID_BYTES)
      theirs.set(keyOf(id), id)
    }
    if (theirs.size * ID_BYTES !== list.length)
      throw new NegentropyError('bad_id_list', 'A list of ids has an id twice.')
    await this.#read(this.#begin, end, (item) => {
      if (!theirs.delete(keyOf(item.id))) this.have.push(item.id)
    })
    for (const id of theirs.values()) this.need.push(id.slice())
  }
}

/** An id as a map key, two bytes a character. V8 hashes strings with a secret seed, so nobody can choose colliding ids. */
function keyOf(id: Uint8Array): string {
  const pairs = []
  for (let at = 0; at < ID_BYTES; at += 2) pairs.push(((id[at] as number) << 8) | (id[at + 1] as number))
  return String.fromCharCode(...pairs)
}

/** Whether the open spans in an interval are the whole interval. */
function isWhole(spans: readonly Span[], lower: Bound, upper: Bound): boolean {
  const [span] = spans
  return span !== undefined && compareBounds(span.lower, lower) === 0 && compareBounds(span.upper, upper) === 0
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
