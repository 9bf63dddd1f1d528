/**
 * Set reconciliation by the Negentropy protocol, version 1 (hoytech/negentropy, docs/negentropy-protocol-v1.md). Over a series of
 * messages the initiator learns which ids only it has, and which it needs.
 *
 * Guaranteed:
 * - Two honest sides find exactly the symmetric difference of two sets that do not change meanwhile.
 * - A message is checked completely before it is processed. A malformed message changes nothing.
 * - No message causes memory or answers beyond the limits, nor more index reads than the index and the answer have ranges and
 *   ids.
 * - An initiator terminates, and reports none of its ids twice (except if the differences lie in more than 65,536 separate
 *   ranges).
 *
 * Not guaranteed:
 * - That the other side tells the truth. It may claim ids that do not exist, or hide ids that it has.
 * - That one session finds sets of ids forged to the same sum (see `random`). A later session finds them.
 *
 * @module @avatar-kv/client/negentropy
 */
import type { Randomness } from '../platform/environment.ts'
import { NegentropyError } from './errors.ts'
import { MessageReader } from './message-reader.ts'
import type { OpenRanges } from './open-ranges.ts'
import { Turn } from './turn.ts'
import type { RangeIndex } from './types.ts'
import { VERSION, VERSION_BASE, VERSION_LAST } from './wire.ts'

export type { Randomness } from '../platform/environment.ts'
export { createMemoryIndex } from './memory-index.ts'
export { NegentropyError, type NegentropyErrorCode } from './errors.ts'
export type { Awaitable, Bound, Item, RangeIndex } from './types.ts'

/** Limits of a session, and its source of randomness. */
export interface NegentropyOptions {
  /** Largest message to send, in bytes: at least 4,096, or 0 for no limit. Default 1 MiB. */
  readonly frameSizeLimit?: number
  /** Largest message to accept, in bytes. Default 16 MiB, about 500,000 ids. */
  readonly maxMessageBytes?: number
  /** Most messages to accept in one session. Default 16,384. A frame of 4,096 bytes carries about 120 ids. */
  readonly maxRounds?: number
  /** Most ids of `have` in one result, at least 32. Later results have the rest. Default 65,536 (about 8 MB). */
  readonly maxHavePerMessage?: number
  /** Most ids of `have` and `need` in one session. Default 2^24. */
  readonly maxIds?: number
  /**
   * Cryptographically secure randomness. It moves the bounds between ranges, so that repeated sessions find sets of ids that
   * were forged to the same sum. Without it the bounds depend on the set alone: for tests, and for ids that nobody can forge.
   */
  readonly random?: Pick<Randomness, 'bytes'>
}

/** The result of a message of the other side. */
export interface Reconciled {
  /** The message to send to the other side; null when the initiator is done. */
  readonly message: Uint8Array | null
  /** Ids that only this side has, 32 bytes each. Empty for a responder. */
  readonly have: Uint8Array[]
  /** Ids that only the other side claims to have. Empty for a responder. */
  readonly need: Uint8Array[]
}

/** Room for one split, or one list, of maximal size; as in the reference implementation. */
const MIN_FRAME_SIZE_LIMIT_BYTES = 4096
/** A shorter list is never split. */
const MIN_HAVE_PER_MESSAGE = 32
/**
 * Consecutive answers without new ids before an initiator gives up. Each of its turns splits the first differing range into 16,
 * so an honest other side needs at most 14 such answers for 2^53 items.
 */
const MAX_BARREN_ROUNDS = 64
const DEFAULTS = {
  frameSizeLimit: 2 ** 20,
  maxMessageBytes: 2 ** 24,
  maxRounds: 2 ** 14,
  maxHavePerMessage: 2 ** 16,
  maxIds: 2 ** 24,
}

/** One side of one session. Calls must not overlap. */
export class Negentropy {
  readonly #index: RangeIndex
  readonly #limits: typeof DEFAULTS
  readonly #random: Pick<Randomness, 'bytes'> | undefined
  #role: 'none' | 'initiator' | 'responder' = 'none'
  #state: 'ready' | 'busy' | 'done' = 'ready'
  #open: OpenRanges | undefined
  #rounds = 0
  #barren = 0
  #ids = 0

  /** @throws NegentropyError `invalid_option` */
  constructor(index: RangeIndex, options: NegentropyOptions = {}) {
    this.#index = index
    this.#random = options.random
    this.#limits = {
      frameSizeLimit: limit('frameSizeLimit', options, MIN_FRAME_SIZE_LIMIT_BYTES),
      maxMessageBytes: limit('maxMessageBytes', options, 1),
      maxRounds: limit('maxRounds', options, 1),
      maxHavePerMessage: limit('maxHavePerMessage', options, MIN_HAVE_PER_MESSAGE),
      maxIds: limit('maxIds', options, 1),
    }
  }

  /**
   * Returns the first message and makes this side the initiator.
   *
   * @throws NegentropyError `wrong_call` if the session has begun; any error of the index
   */
  async initiate(): Promise<Uint8Array> {
    if (this.#role !== 'none') throw new NegentropyError('wrong_call', 'This session has begun. Create a new one.')
    this.#role = 'initiator'
    return this.#exclusively(async () => {
      const turn = this.#turn()
      await turn.begin()
      this.#open = turn.asked
      return turn.message()
    })
  }

  /**
   * Processes a message of the other side and returns the answer. Without an earlier `initiate` this side is the responder. A
   * responder answers another version of the protocol with its own version byte alone, as the specification says.
   *
   * @param message must not change before the promise resolves
   * @throws NegentropyError any code except `invalid_option` and `invalid_item`; any error of the index
   */
  async reconcile(message: Uint8Array): Promise<Reconciled> {
    if (this.#state === 'done') throw new NegentropyError('wrong_call', 'This session is done. Create a new one.')
    return this.#exclusively(async () => {
      if (this.#rounds >= this.#limits.maxRounds) {
        throw new NegentropyError(
          'too_many_rounds',
          `The session did not end within ${this.#limits.maxRounds} messages.`,
        )
      }
      this.#rounds += 1
      if (this.#role === 'none') this.#role = 'responder'
      if (!this.#check(message)) return { message: Uint8Array.of(VERSION), have: [], need: [] }
      const turn = this.#turn()
      await turn.answer(message)
      if (this.#role === 'responder') return { message: turn.message(), have: [], need: [] }
      this.#count(turn.have.length + turn.need.length)
      this.#open = turn.asked
      if (turn.silent) this.#state = 'done'
      return { message: turn.silent ? null : turn.message(), have: turn.have, need: turn.need }
    })
  }

  #turn(): Turn {
    const { frameSizeLimit, maxHavePerMessage } = this.#limits
    return new Turn(this.#index, {
      open: this.#open,
      frameSizeLimit,
      maxHavePerMessage,
      random: this.#random,
    })
  }

  /** Checks the form of a whole message. Returns false for another version that this side can answer. */
  #check(message: Uint8Array): boolean {
    if (message.length > this.#limits.maxMessageBytes) {
      throw new NegentropyError(
        'message_too_large',
        `A message has ${message.length} bytes; this side accepts at most ${this.#limits.maxMessageBytes}. Set a frame size limit on the other side.`,
      )
    }
    const version = message[0]
    if (version === undefined) throw new NegentropyError('truncated', 'The message is empty.')
    if (version !== VERSION) {
      if (this.#role === 'responder' && version >= VERSION_BASE && version <= VERSION_LAST) return false
      throw new NegentropyError(
        'unsupported_version',
        `The message begins with byte ${version}, not with ${VERSION} for version 1 of the Negentropy protocol.`,
      )
    }
    const reader = new MessageReader(message)
    while (reader.next() !== undefined);
    return true
  }

  #count(ids: number): void {
    this.#ids += ids
    if (this.#ids > this.#limits.maxIds) {
      throw new NegentropyError('too_many_ids', `The two sets differ by more than ${this.#limits.maxIds} ids.`)
    }
    this.#barren = ids === 0 ? this.#barren + 1 : 0
    if (this.#barren > MAX_BARREN_ROUNDS) {
      throw new NegentropyError(
        'no_progress',
        `The other side sent ${this.#barren} consecutive answers without new ids.`,
      )
    }
  }

  async #exclusively<T>(run: () => Promise<T>): Promise<T> {
    if (this.#state === 'busy') throw new NegentropyError('wrong_call', 'A call is under way. Wait for it.')
    this.#state = 'busy'
    try {
      return await run()
    } finally {
      if (this.#state === 'busy') this.#state = 'ready'
    }
  }
}

function limit(name: keyof typeof DEFAULTS, options: NegentropyOptions, least: number): number {
  const value = options[name] ?? DEFAULTS[name]
  const none = name === 'frameSizeLimit' && value === 0
  if (!none && !(Number.isSafeInteger(value) && value >= least)) {
    throw new NegentropyError('invalid_option', `${name} is ${value}; it must be an integer of at least ${least}.`)
  }
  return value
}
