/** `burst` lines of one kind may come at once, and one more after each `refillMs`. */
interface LineRate {
  readonly burst: number
  readonly refillMs: number
}

/** From this level of pino on (`info`), `RATE` applies. Below it the operator has asked for detail. */
const INFO_LEVEL = 30
/** From this level on (`fatal`), every line is written: the process ends with it. */
const FATAL_LEVEL = 60
const RATE: LineRate = { burst: 20, refillMs: 1_000 }
const DETAIL_RATE: LineRate = { burst: 1_000, refillMs: 10 }

/** Kinds with a rate of their own. Further kinds share one rate, so that text from strangers cannot create new rates. */
const MAX_KINDS = 256
const MAX_KIND_CHARACTERS = 80
/** Interval at which the number of omitted lines is logged, in ms. */
const TELL_EVERY_MS = 10_000

interface Kind {
  tokens: number
  atMs: number
}

export interface LineLimiter {
  /** Whether a line may be written now; if not, it is counted. */
  admits(level: number, kind: string): boolean
  /** Omitted lines since the last call, by kind, if it is time to log them. */
  due(): Record<string, number> | undefined
}

/**
 * Bounds the size of the log. Every kind of line has a rate, because strangers can cause many of them. The number of omitted
 * lines is logged with one of the next lines.
 *
 * @param now milliseconds of any clock
 */
export function createLineLimiter(now: () => number): LineLimiter {
  const kinds = new Map<string, Kind>()
  let leftOut = new Map<string, number>()
  let toldMs = Number.NEGATIVE_INFINITY

  function kindOf(name: string, { burst }: LineRate): Kind {
    const known = kinds.get(name) ?? (kinds.size < MAX_KINDS ? undefined : kinds.get(''))
    if (known !== undefined) return known
    const kind = { tokens: burst, atMs: now() }
    kinds.set(kinds.size < MAX_KINDS - 1 ? name : '', kind)
    return kind
  }

  return {
    admits(level, kind) {
      if (level >= FATAL_LEVEL) return true
      const rate = level >= INFO_LEVEL ? RATE : DETAIL_RATE
      const name = kind.slice(0, MAX_KIND_CHARACTERS)
      const bucket = kindOf(`${level} ${name}`, rate)
      const at = now()
      bucket.tokens = Math.min(rate.burst, bucket.tokens + Math.max(0, at - bucket.atMs) / rate.refillMs)
      bucket.atMs = at
      if (bucket.tokens >= 1) {
        bucket.tokens -= 1
        return true
      }
      const counted = leftOut.size < MAX_KINDS || leftOut.has(name) ? name : 'others'
      leftOut.set(counted, (leftOut.get(counted) ?? 0) + 1)
      return false
    },
    due() {
      const at = now()
      // If the clock was set back, the counts must still be logged some time.
      if (leftOut.size === 0 || Math.abs(at - toldMs) < TELL_EVERY_MS) return undefined
      toldMs = at
      const counts = Object.fromEntries(leftOut)
      leftOut = new Map()
      return counts
    },
  }
}
