/**
 * Set reconciliation by the Negentropy protocol, version 1 (hoytech/negentropy, docs/negentropy-protocol-v1.md), message by
 * message: the initiator learns which ids it alone has and which it needs.
 *
 * Guaranteed: two honest sides end with exactly the symmetric difference of two sets that rest meanwhile; a message is
 * checked whole before anything is made of it, and a malformed one changes nothing; no message leads to memory or answers
 * beyond the limits, nor to more reads of the index than it and the answer have ranges and ids; an initiator ends, and names
 * no id of its own twice (but for sets whose differences lie in more than 65,536 separate ranges).
 * Not guaranteed: that the other side tells the truth. It may name ids that nobody has, or hide some that it has. And a
 * session may miss sets of ids forged to one sum (see `random`); a later one finds them.
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

/** What a session may take, and where its randomness comes from. */
export interface NegentropyOptions {
  /** Greatest message made, in bytes: at least 4,096, or 0 for no limit. Default 1 MiB. */
  readonly frameSizeLimit?: number
  /** Greatest message taken, in bytes. Default 16 MiB, about 500,000 ids. */
  readonly maxMessageBytes?: number
  /** Messages taken in one session. Default 16,384; a 4,096 byte frame carries about 120 ids. */
  readonly maxRounds?: number
  /** Ids of `have` in one result, at least 32; the rest is asked for again and comes later. Default 65,536 (about 8 MB). */
  readonly maxHavePerMessage?: number
  /** Ids of `have` and `need` in one session. Default 2^24. */
  readonly maxIds?: number
  /**
   * Cryptographically secure. Moves the bounds between ranges, so that sets of ids forged to one sum are found in the end.
   * Without it bounds follow from the set alone: for tests, and where nobody else chooses ids.
   */
  readonly random?: Pick<Randomness, 'bytes'>
}

/** What a message of the other side led to. */
export interface Reconciled {
  /** To be sent to the other side; null when the initiator is done. */
  readonly message: Uint8Array | null
  /** Ids that this side has and the other has not, 32 bytes each. Empty for a responder. */
  readonly have: Uint8Array[]
  /** Ids that the other side claims to have and this one has not. Empty for a responder. */
  readonly need: Uint8Array[]
}

/** Room for one split, or one list, of the greatest size; the reference implementation has the same. */
const MIN_FRAME_SIZE_LIMIT_BYTES = 4096
/** A list below this is never split further. */
const MIN_HAVE_PER_MESSAGE = 32
/**
 * Answers in a row that tell an initiator nothing new. The first range that differs is split into 16 at each of its turns,
 * so an honest other side needs at most 14 for 2^53 items.
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
   * The first message. It makes this side the initiator.
   *
   * @throws NegentropyError `wrong_call` if the session has begun; whatever the index throws
   */
  async initiate(): Promise<Uint8Array> {
    if (this.#role !== 'none') throw new NegentropyError('wrong_call', 'This session has begun; make a new one.')
    this.#role = 'initiator'
    return this.#exclusively(async () => {
      const turn = this.#turn()
      await turn.begin()
      this.#open = turn.asked
      return turn.message()
    })
  }

  /**
   * Takes a message of the other side and makes the answer. Without `initiate` before, this side is the responder; one that
   * is asked in another version of the protocol answers with its own version alone, as the specification says.
   *
   * @param message must not change before the promise resolves
   * @throws NegentropyError any code but `invalid_option` and `invalid_item`; whatever the index throws
   */
  async reconcile(message: Uint8Array): Promise<Reconciled> {
    if (this.#state === 'done') throw new NegentropyError('wrong_call', 'This session is done; make a new one.')
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

  /** Checks the form of a whole message. False if it is of another version and that can be answered. */
  #check(message: Uint8Array): boolean {
    if (message.length > this.#limits.maxMessageBytes) {
      throw new NegentropyError(
        'message_too_large',
        `A message has ${message.length} bytes; at most ${this.#limits.maxMessageBytes} are taken. Set a frame size limit.`,
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
      throw new NegentropyError('no_progress', `The other side sent ${this.#barren} answers that tell nothing new.`)
    }
  }

  async #exclusively<T>(run: () => Promise<T>): Promise<T> {
    if (this.#state === 'busy') throw new NegentropyError('wrong_call', 'A call is under way; wait for it.')
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
