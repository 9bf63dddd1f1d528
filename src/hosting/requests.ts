/**
 * Handles the signed statements by which owners ask to be hosted or to leave.
 *
 * Guaranteed: a statement counts only if the avatar's key signed it for this node, its time is within ten minutes of this
 * node's clock, and it is newer than the last one; requests are limited in rate.
 */
import type { Clock } from '../platform/environment.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import { HostingError } from './errors.ts'
import { STATEMENT_WINDOW_SECONDS } from './limits.ts'
import type { Puller } from './puller.ts'
import { verifyStatement, type HostingStatement } from './statement.ts'
import type { OwnerRequests, HostingGrants } from './types.ts'

/** One host: 20 requests at once, then one a second. All hosts together: 100 at once, then ten a second. */
const REQUEST_RATES: RateLimits = {
  perKey: { burst: 20, refillMs: 1_000 },
  total: { burst: 100, refillMs: 100 },
  reserve: 25,
}

export function createOwnerRequests(
  components: {
    readonly hosting: HostingGrants
    readonly puller: Pick<Puller, 'check' | 'pull' | 'report'>
    readonly engine: Pick<SignatureEngine, 'verify' | 'recover' | 'keccak256'>
    readonly clock: Clock
  },
  facts: { readonly network: string; readonly peerId: string },
): OwnerRequests {
  const { hosting, puller, engine, clock } = components
  const rates = new Rates(REQUEST_RATES, clock)

  function checkFacts({ network, peer_id, created_at }: HostingStatement): void {
    if (network !== facts.network) {
      throw new HostingError(
        'wrong_peer',
        `The statement is for the network "${network}", but this node is of "${facts.network}". Sign one for this node.`,
      )
    }
    if (peer_id !== facts.peerId) {
      const message = `The statement is for the node ${peer_id}, but this node is ${facts.peerId}. Sign one for this node.`
      throw new HostingError('wrong_peer', message)
    }
    const offBySeconds = Math.abs(clock.now() / 1_000 - created_at)
    if (offBySeconds <= STATEMENT_WINDOW_SECONDS) return
    const message = `created_at is more than ${STATEMENT_WINDOW_SECONDS} s from this node's clock. Check your clock and sign a new statement.`
    throw new HostingError('stale_statement', message)
  }

  return {
    admits: (source) => rates.take(source),
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
