import { Negentropy, type Item, type NegentropyOptions, type RangeIndex } from '../../src/negentropy/negentropy.ts'
import { hex } from './spec-message.ts'

/** Repeatable numbers of 32 bits (mulberry32). */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

export function randomFrom(seed: number): { bytes(length: number): Uint8Array } {
  const next = numbersFrom(seed)
  return { bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff) }
}

export function randomItems(count: number, seed: number, timestamp: (at: number) => number): Item[] {
  const random = randomFrom(seed)
  return Array.from({ length: count }, (_, at) => ({ timestamp: timestamp(at), id: random.bytes(32) }))
}

/** The same index, but every answer is a promise of another turn of the event loop. */
export function slowly(index: RangeIndex): RangeIndex {
  const later = async <T>(value: T | PromiseLike<T>): Promise<T> => {
    await Promise.resolve()
    return value
  }
  return {
    size: () => index.size(),
    sum: (begin, end) => later(index.sum(begin, end)),
    items: (begin, end) => later(index.items(begin, end)),
    lowerBound: (begin, end, bound) => later(index.lowerBound(begin, end, bound)),
  }
}

export interface SessionResult {
  have: string[]
  need: string[]
  rounds: number
  /** Sizes of all messages, the initiator's first one first. */
  bytes: number[]
}

/** Runs a whole session; `have` and `need` as sorted hex. */
export async function runSession(
  mine: RangeIndex,
  theirs: RangeIndex,
  options: NegentropyOptions = {},
  theirOptions: NegentropyOptions = options,
): Promise<SessionResult> {
  const initiator = new Negentropy(mine, options)
  const responder = new Negentropy(theirs, theirOptions)
  const have: string[] = []
  const need: string[] = []
  const bytes: number[] = []
  let rounds = 0
  let message: Uint8Array | null = await initiator.initiate()
  while (message !== null) {
    const answer = (await responder.reconcile(message)).message as Uint8Array
    bytes.push(message.length, answer.length)
    rounds += 1
    const result = await initiator.reconcile(answer)
    have.push(...result.have.map(hex))
    need.push(...result.need.map(hex))
    message = result.message
  }
  return { have: have.sort(), need: need.sort(), rounds, bytes }
}

export function difference(of: readonly Item[], without: readonly Item[]): string[] {
  const out = new Set(without.map((item) => hex(item.id)))
  return of
    .map((item) => hex(item.id))
    .filter((id) => !out.has(id))
    .sort()
}
