/**
 * What the sessions that peers open may have of listed moments, which are made by a walk over all their records and stay in
 * memory: two are made at a time, and of the large ones two are held, whatever others ask for. A session waits for its turn
 * a bounded time, and one that has had a large moment for long makes room for others.
 */
import type { Clock, Environment } from '../environment.ts'
import { SyncError } from './errors.ts'
import type { SyncMoment, SyncSource } from './types.ts'

/**
 * Records of one listed moment, at 41 bytes each, that need no turn to be held: 32 sessions have 86 MB of them at most. An
 * initiator has no more in one pass, unless one avatar alone has, or eight such passes are too few for all.
 */
export const LISTED_PASS_RECORDS = 65_536
/** Turns at once, of each kind. */
const TURNS = 2
/** Longest wait for a turn: the peer waits meanwhile, for 30 s at most. */
const WAIT_MS = 10_000
/** How long a turn may last while others wait. */
const TURN_MS = 30_000

/** The source that sessions share which peers open. */
export function takingTurns(source: SyncSource, environment: Pick<Environment, 'clock' | 'timers'>): SyncSource {
  const making = new Turns(environment)
  const holding = new Turns(environment)
  return {
    async moment(scope) {
      if (scope === 'all') return source.moment(scope)
      const sums = await source.avatarSums(scope)
      const isLarge = sums.reduce((records, { count }) => records + count, 0) > LISTED_PASS_RECORDS
      const turn = await (isLarge ? holding : making).begin()
      try {
        const moment = await source.moment(scope)
        if (isLarge) return turn.hold(moment)
        turn.end()
        return moment
      } catch (error) {
        turn.end()
        throw error
      }
    },
    avatarSums: (avatars) => source.avatarSums(avatars),
    held: (ids) => source.held(ids),
    signed: (ids) => source.signed(ids),
    from: (bound, limits) => source.from(bound, limits),
  }
}

class Turns {
  readonly #environment: Pick<Environment, 'clock' | 'timers'>
  readonly #running = new Set<Turn>()
  /** Those who wait, in the order in which they came. */
  readonly #waiting = new Set<(turn: Turn) => void>()

  constructor(environment: Pick<Environment, 'clock' | 'timers'>) {
    this.#environment = environment
  }

  /** @throws SyncError `refused` with `full` where none comes free in time */
  async begin(): Promise<Turn> {
    if (this.#running.size < TURNS) return this.#start()
    const began = this.#wait()
    this.#makeRoom()
    return began
  }

  #start(): Turn {
    const turn = new Turn(this.#environment.clock, () => {
      this.#running.delete(turn)
      for (const take of this.#waiting) return take(this.#start())
    })
    this.#running.add(turn)
    return turn
  }

  #wait(): Promise<Turn> {
    return new Promise((resolve, reject) => {
      const cancel = this.#environment.timers.after(WAIT_MS, () => {
        this.#waiting.delete(take)
        const message = 'Too many sessions compare lists of avatars.'
        reject(new SyncError('refused', message, { refusal: 'full' }))
      })
      const take = (turn: Turn): void => {
        cancel()
        this.#waiting.delete(take)
        resolve(turn)
      }
      this.#waiting.add(take)
    })
  }

  /** Ends a turn that has been long; its session goes on where it was, once it is its turn again. */
  #makeRoom(): void {
    const longBeforeMs = this.#environment.clock.now() - TURN_MS
    for (const turn of this.#running) if (turn.heldSinceMs <= longBeforeMs) return turn.end()
  }
}

class Turn {
  /** Infinity while the moment is being made. */
  heldSinceMs = Infinity
  readonly #clock: Clock
  #end: (() => void) | undefined
  #moment: SyncMoment | undefined

  constructor(clock: Clock, end: () => void) {
    this.#clock = clock
    this.#end = end
  }

  /** A moment that lasts as long as the turn, and ends it when it is closed. */
  hold(moment: SyncMoment): SyncMoment {
    this.heldSinceMs = this.#clock.now()
    this.#moment = moment
    return {
      size: () => this.#held().size(),
      sum: (begin, end) => this.#held().sum(begin, end),
      items: (begin, end) => this.#held().items(begin, end),
      lowerBound: (begin, end, bound) => this.#held().lowerBound(begin, end, bound),
      close: () => Promise.resolve(this.end()),
    }
  }

  end(): void {
    const end = this.#end
    const moment = this.#moment
    this.#end = undefined
    // Whoever has it still does not keep its records in memory, and they are all that it holds.
    this.#moment = undefined
    moment?.close().catch(() => {})
    end?.()
  }

  #held(): SyncMoment {
    if (this.#moment === undefined) throw new SyncError('out_of_time', 'Others wait for their turn.')
    return this.#moment
  }
}
