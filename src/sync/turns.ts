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
  const making = createTurns(environment)
  const holding = createTurns(environment)
  return (host) => ({
    ...source,
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
  })
}

interface Waiting {
  readonly host: string
  readonly take: (turn: Turn) => void
}

function createTurns({ clock, timers }: Pick<Environment, 'clock' | 'timers'>) {
  const running = new Set<Turn>()
  /** Sessions that wait for a turn, in order of arrival. */
  const waiting = new Set<Waiting>()

  /** @throws SyncError `refused` with `full` if no turn is free in time */
  async function begin(host: string): Promise<Turn> {
    if (running.size < TURNS) return start(host)
    const began = wait(host)
    makeRoom()
    return began
  }

  /** A moment that lasts as long as the turn, and ends it when it is closed. */
  function hold(turn: Turn, readSnapshot: SyncSnapshot): SyncSnapshot {
    const held = turn.hold(readSnapshot)
    if (waiting.size > 0) makeRoom()
    return held
  }

  function start(host: string): Turn {
    const turn = createTurn(host, clock, () => {
      running.delete(turn)
      const [first] = waiting
      const next = waitingWithout() ?? first
      next?.take(start(next.host))
    })
    running.add(turn)
    return turn
  }

  function wait(host: string): Promise<Turn> {
    return new Promise((resolve, reject) => {
      const cancel = timers.after(WAIT_MS, () => {
        waiting.delete(waiter)
        const message = 'Too many sessions compare lists of avatars.'
        reject(new SyncError('refused', message, { refusal: 'full' }))
      })
      const take = (turn: Turn): void => {
        cancel()
        waiting.delete(waiter)
        resolve(turn)
      }
      const waiter = { host, take }
      waiting.add(waiter)
    })
  }

  /** The first session that waits and whose host has no turn. */
  function waitingWithout(): Waiting | undefined {
    const served = new Set([...running].map(({ host }) => host))
    return [...waiting].find(({ host }) => !served.has(host))
  }

  /** Ends a turn that was long, or that its host has beside another one; its session resumes when it gets a turn again. */
  function makeRoom(): void {
    const hosts = new Set([...running].map(({ host }) => host))
    const isOneHosts = running.size === TURNS && hosts.size === 1 && waitingWithout() !== undefined
    const heldBeforeMs = clock.now() - (isOneHosts ? 0 : TURN_MS)
    for (const turn of running) if (turn.heldSinceMs <= heldBeforeMs) return turn.end()
  }

  return { begin, hold }
}

interface Turn {
  readonly host: string
  /** Infinity while the moment is being made. */
  heldSinceMs: number
  /** Returns the moment; its reads throw once the turn has ended. */
  hold(readSnapshot: SyncSnapshot): SyncSnapshot
  /** Calling it again does nothing. */
  end(): void
}

function createTurn(host: string, clock: Clock, ended: () => void): Turn {
  let isOver = false
  let held: SyncSnapshot | undefined

  function moment(): SyncSnapshot {
    if (held === undefined) throw new SyncError('out_of_time', 'Others wait for their turn.')
    return held
  }

  const turn: Turn = {
    host,
    heldSinceMs: Infinity,
    hold(readSnapshot) {
      turn.heldSinceMs = clock.now()
      held = readSnapshot
      return {
        size: () => moment().size(),
        sum: (begin, end) => moment().sum(begin, end),
        items: (begin, end) => moment().items(begin, end),
        lowerBound: (begin, end, bound) => moment().lowerBound(begin, end, bound),
        close: () => Promise.resolve(turn.end()),
      }
    },
    end() {
      if (isOver) return
      isOver = true
      held?.close().catch(() => {})
      // Its session may still refer to this turn, so this releases the records.
      held = undefined
      ended()
    },
  }
  return turn
}
