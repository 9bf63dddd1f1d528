/**
 * What the sessions that peers open may have of listed moments, which are made by a walk over all their records and stay in
 * memory: two are made at a time, and of the large ones two are held. A session waits for its turn a bounded time, and one
 * that has held a large moment for long makes room for others. A host that has both turns loses one to a waiting host that
 * has none.
 */
import type { Clock, Environment } from '../platform/environment.ts'
import { SyncError } from './errors.ts'
import type { SyncSnapshot, SyncSource } from '../store/types.ts'

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

/** Gives the sessions that peers open their source, by the key of the peer's host. All sources share the same turns. */
export function takingTurns(
  source: SyncSource,
  environment: Pick<Environment, 'clock' | 'timers'>,
): (host: string) => SyncSource {
  const making = new Turns(environment)
  const holding = new Turns(environment)
  return (host) => ({
    async readSnapshot(scope) {
      if (scope === 'all') return source.readSnapshot(scope)
      const sums = await source.avatarSums(scope)
      const isLarge = sums.reduce((records, { count }) => records + count, 0) > LISTED_PASS_RECORDS
      const turn = await (isLarge ? holding : making).begin(host)
      try {
        const readSnapshot = await source.readSnapshot(scope)
        if (isLarge) return holding.hold(turn, readSnapshot)
        turn.end()
        return readSnapshot
      } catch (error) {
        turn.end()
        throw error
      }
    },
    avatarSums: (avatars) => source.avatarSums(avatars),
    held: (ids) => source.held(ids),
    signed: (ids) => source.signed(ids),
    from: (bound, limits) => source.from(bound, limits),
  })
}

interface Waiting {
  readonly host: string
  readonly take: (turn: Turn) => void
}

class Turns {
  readonly #environment: Pick<Environment, 'clock' | 'timers'>
  readonly #running = new Set<Turn>()
  /** Sessions that wait for a turn, in order of arrival. */
  readonly #waiting = new Set<Waiting>()

  constructor(environment: Pick<Environment, 'clock' | 'timers'>) {
    this.#environment = environment
  }

  /** @throws SyncError `refused` with `full` if no turn is free in time */
  async begin(host: string): Promise<Turn> {
    if (this.#running.size < TURNS) return this.#start(host)
    const began = this.#wait(host)
    this.#makeRoom()
    return began
  }

  /** A moment that lasts as long as the turn, and ends it when it is closed. */
  hold(turn: Turn, readSnapshot: SyncSnapshot): SyncSnapshot {
    const held = turn.hold(readSnapshot)
    if (this.#waiting.size > 0) this.#makeRoom()
    return held
  }

  #start(host: string): Turn {
    const turn = new Turn(host, this.#environment.clock, () => {
      this.#running.delete(turn)
      const [first] = this.#waiting
      const next = this.#waitingWithout() ?? first
      next?.take(this.#start(next.host))
    })
    this.#running.add(turn)
    return turn
  }

  #wait(host: string): Promise<Turn> {
    return new Promise((resolve, reject) => {
      const cancel = this.#environment.timers.after(WAIT_MS, () => {
        this.#waiting.delete(waiting)
        const message = 'Too many sessions compare lists of avatars.'
        reject(new SyncError('refused', message, { refusal: 'full' }))
      })
      const take = (turn: Turn): void => {
        cancel()
        this.#waiting.delete(waiting)
        resolve(turn)
      }
      const waiting = { host, take }
      this.#waiting.add(waiting)
    })
  }

  /** The first session that waits and whose host has no turn. */
  #waitingWithout(): Waiting | undefined {
    const served = new Set([...this.#running].map(({ host }) => host))
    return [...this.#waiting].find(({ host }) => !served.has(host))
  }

  /** Ends a turn that was long, or that its host has beside another one; its session resumes when it gets a turn again. */
  #makeRoom(): void {
    const hosts = new Set([...this.#running].map(({ host }) => host))
    const isOneHosts = this.#running.size === TURNS && hosts.size === 1 && this.#waitingWithout() !== undefined
    const heldBeforeMs = this.#environment.clock.now() - (isOneHosts ? 0 : TURN_MS)
    for (const turn of this.#running) if (turn.heldSinceMs <= heldBeforeMs) return turn.end()
  }
}

class Turn {
  /** Infinity while the moment is being made. */
  heldSinceMs = Infinity
  readonly host: string
  readonly #clock: Clock
  #end: (() => void) | undefined
  #readSnapshot: SyncSnapshot | undefined

  constructor(host: string, clock: Clock, end: () => void) {
    this.host = host
    this.#clock = clock
    this.#end = end
  }

  hold(readSnapshot: SyncSnapshot): SyncSnapshot {
    this.heldSinceMs = this.#clock.now()
    this.#readSnapshot = readSnapshot
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
    const readSnapshot = this.#readSnapshot
    this.#end = undefined
    // Its session may still refer to this turn: the records are released here.
    this.#readSnapshot = undefined
    readSnapshot?.close().catch(() => {})
    end?.()
  }

  #held(): SyncSnapshot {
    if (this.#readSnapshot === undefined) throw new SyncError('out_of_time', 'Others wait for their turn.')
    return this.#readSnapshot
  }
}
