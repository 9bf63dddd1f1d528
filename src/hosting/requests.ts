/**
 * What owners ask for by signed statements.
 *
 * Guaranteed: only the avatar's key is heard, by the node that it names, within ten minutes of its time, and in the order of
 * its times; asking costs little, and strangers are held to a rate.
 */
import { LRUCache } from 'lru-cache'

import type { Clock } from '../environment.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { HostingError } from './errors.ts'
import { STATEMENT_WINDOW_SECONDS } from './limits.ts'
import type { Puller } from './puller.ts'
import { verifyStatement, type HostingStatement } from './statement.ts'
import type { HostingDesk, HostingWishes } from './types.ts'

/** Requests that may come at once, and one more after so long: of one address, and of all together. */
const ADDRESS_RATE = { burst: 20, refillMs: 1_000 } as const
const TOTAL_RATE = { burst: 100, refillMs: 100 } as const
/** Addresses remembered; about 200 bytes each. */
const MAX_ADDRESSES = 10_000
const LOOPBACK = /^(127\.|::1$)/

export function createHostingDesk(
  components: {
    readonly hosting: HostingWishes
    readonly puller: Pick<Puller, 'check' | 'pull' | 'report'>
    readonly engine: Pick<SignatureEngine, 'verify' | 'recover' | 'keccak256'>
    readonly clock: Clock
  },
  facts: { readonly network: string; readonly peerId: string },
): HostingDesk {
  const { hosting, puller, engine, clock } = components
  const addresses = new LRUCache<string, Bucket>({ max: MAX_ADDRESSES })
  const total = new Bucket(TOTAL_RATE, clock)

  function checkFacts({ network, peer_id, created_at }: HostingStatement): void {
    if (network !== facts.network) {
      throw new HostingError(
        'wrong_peer',
        `The statement is for the network "${network}", and this is "${facts.network}".`,
      )
    }
    if (peer_id !== facts.peerId) {
      throw new HostingError('wrong_peer', `The statement is for the node ${peer_id}, and this is ${facts.peerId}.`)
    }
    const offBySeconds = Math.abs(clock.now() / 1_000 - created_at)
    if (offBySeconds <= STATEMENT_WINDOW_SECONDS) return
    const message = `created_at is more than ${STATEMENT_WINDOW_SECONDS} s from this node's clock: sign a new statement.`
    throw new HostingError('stale_statement', message)
  }

  return {
    admits(address) {
      const key = sourceOf(address)
      // A proxy on this machine brings everybody.
      if (LOOPBACK.test(key)) return total.take()
      const bucket = addresses.get(key) ?? new Bucket(ADDRESS_RATE, clock)
      addresses.set(key, bucket)
      return bucket.take() || total.take()
    },
    async ask(text, signature) {
      const statement = verifyStatement(engine, text, signature)
      checkFacts(statement)
      const { action, avatar, created_at: createdAt, from, invite } = statement
      if (action === 'leave') {
        await hosting.release({ avatar, createdAt })
        return { status: 'granted', action, avatar, already: false, pulling: false }
      }
      if (from !== undefined) puller.check(from)
      const already = await hosting.grant({ avatar, createdAt, ...(invite === undefined ? {} : { invite }) })
      if (from !== undefined) await puller.pull(avatar, from)
      return { status: 'granted', action, avatar, already, pulling: from !== undefined }
    },
    pullOf: (avatar) => puller.report(avatar),
  }
}

/** A network of 64 bits is one customer's; an IPv4 address may come as a mapped one. */
function sourceOf(address: string): string {
  const plain = address.replace(/^::ffff:/, '')
  if (!plain.includes(':') || plain === '::1') return plain
  return address.split(':').slice(0, 4).join(':')
}

/** A token bucket. */
class Bucket {
  readonly #rate: { readonly burst: number; readonly refillMs: number }
  readonly #clock: Clock
  #tokens: number
  #atMs: number

  constructor(rate: { readonly burst: number; readonly refillMs: number }, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#tokens = rate.burst
    this.#atMs = clock.now()
  }

  /** Takes one; returns 0, or the whole seconds until there is one. */
  take(): number {
    const { burst, refillMs } = this.#rate
    const now = this.#clock.now()
    // A clock that was set back gives nothing, for a moment.
    this.#tokens = Math.min(burst, this.#tokens + Math.max(0, now - this.#atMs) / refillMs)
    this.#atMs = now
    if (this.#tokens < 1) return Math.max(1, Math.ceil(((1 - this.#tokens) * refillMs) / 1_000))
    this.#tokens -= 1
    return 0
  }
}
