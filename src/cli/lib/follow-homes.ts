import { isPublicHome } from '../../find/addresses.ts'
import { messageOf } from '../../platform/errors.ts'
import { checkNode, type NodeCheck } from '../../client/check-node.ts'
import { ClientError } from '../../client/errors.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { homesIn, homesOfNamespaces, isUrlHome, normalHome } from '../../homes/homes.ts'
import type { SignatureEngine } from '../../record/engine.ts'
import { compareCitations } from '../../record/order.ts'
import type { Avatar } from '../../record/types.ts'
import { toCliError } from './client-error.ts'
import { CliError } from './errors.ts'
import type { FindOptions } from './find-avatar.ts'
import { guardedFetch } from './guarded-fetch.ts'
import { nodeAt } from './node.ts'

/** Homes listed by homes are followed this far: the avatar may have moved twice while a list was cached. */
const MAX_HOPS = 3
/** Nodes asked in total. Homes are claims of the avatar, which must not cause unlimited requests. */
const MAX_NODES = 16
/** A call to a home that takes longer counts as failed. */
const HOME_TIMEOUT_MS = 10_000
/** All calls to one home together: a host that sends slowly must not delay the command. */
const HOME_TOTAL_MS = 60_000
/** After this time no further home is asked. */
const MAX_TIME_MS = 120_000

/** The result of one node. */
export interface AskedNode {
  readonly node: string
  /** Null if it sent nothing that could be verified. */
  readonly head: number | null
  readonly problem: string | null
}

export interface Followed {
  /** The node with the greatest verified state, and its check. */
  readonly api: NodeApi
  readonly check: NodeCheck
  /** In the order of the requests. */
  readonly asked: readonly AskedNode[]
  /** Homes that were not asked: multiaddrs, addresses of private networks, or too many. */
  readonly skipped: readonly string[]
}

interface Stop {
  readonly url: string
  readonly hops: number
}

/**
 * Reads an avatar from a node and from the homes that its content lists. Every answer is verified; the one with the greatest
 * visible record counts. If a node does not have the avatar but names its homes, those are asked too.
 *
 * @throws CliError `refused` if no node has anything that can be verified; the message lists the results
 */
export async function followHomes(
  first: NodeApi,
  engine: SignatureEngine,
  avatar: Avatar,
  nowMs: () => number,
  { allowPrivate }: FindOptions,
): Promise<Followed> {
  const startedMs = nowMs()
  const stops: Stop[] = [{ url: first.url, hops: 0 }]
  const known = new Set([normalHome(first.url) ?? first.url])
  const asked: AskedNode[] = []
  const skipped: string[] = []
  let best: { api: NodeApi; check: NodeCheck } | undefined

  function add(homes: readonly string[], hops: number): void {
    for (const home of homes) {
      if (known.has(home)) continue
      known.add(home)
      const isForbidden = !allowPrivate && !isPublicHome(home)
      if (!isUrlHome(home) || isForbidden || hops > MAX_HOPS || stops.length >= MAX_NODES) skipped.push(home)
      else stops.push({ url: home, hops })
    }
  }

  // Grows while it is walked; `MAX_NODES` bounds it.
  for (const { url, hops } of stops) {
    if (nowMs() - startedMs > MAX_TIME_MS) {
      skipped.push(url)
      continue
    }
    const api = hops === 0 ? first : homeAt(url, allowPrivate)
    const result = await ask(api, engine, avatar)
    asked.push({ node: url, head: result.check?.fold.head ?? null, problem: result.problem ?? null })
    add(result.homes, hops + 1)
    if (result.check !== undefined && (best === undefined || isAhead(result.check, best.check))) {
      best = { api, check: result.check }
    }
  }
  if (best !== undefined) return { ...best, asked, skipped }
  const said = asked.map(({ node, problem }) => `\n  ${node}: ${problem ?? 'nothing'}`).join('')
  throw new CliError('refused', `No node that was asked has anything of ${avatar} that can be verified:${said}`)
}

/** Homes are claims of a stranger: a name must not lead to a private network. */
function homeAt(url: string, allowPrivate: boolean): NodeApi {
  const signal = AbortSignal.timeout(HOME_TOTAL_MS)
  return nodeAt(url, { timeoutMs: HOME_TIMEOUT_MS, signal, fetch: guardedFetch(allowPrivate) })
}

interface Answer {
  readonly check?: NodeCheck
  readonly problem?: string
  readonly homes: readonly string[]
}

async function ask(api: NodeApi, engine: SignatureEngine, avatar: Avatar): Promise<Answer> {
  try {
    const check = await checkNode(api, engine, avatar)
    if (check === undefined) return { problem: 'it has nothing of this avatar', homes: [] }
    const [difference] = check.differences
    // Its signed records are good for their list of homes, though its answer is good for nothing.
    const homes = homesOfNamespaces(avatar, check.fold.namespaces)
    return difference === undefined ? { check, homes } : { problem: `not verified: ${difference}`, homes }
  } catch (error) {
    if (!(error instanceof ClientError)) return { problem: messageOf(error), homes: [] }
    const isSlow = error.code === 'aborted'
    const problem = isSlow ? `it took longer than ${HOME_TOTAL_MS / 1000} s` : toCliError(error).message
    return { problem, homes: homesIn(error.homes) }
  }
}

/** Whether the greatest visible record of one comes after that of the other. */
function isAhead(one: NodeCheck, other: NodeCheck): boolean {
  const [a, b] = [one.fold.tips.at(-1), other.fold.tips.at(-1)]
  if (a === undefined || b === undefined) return a !== undefined && b === undefined
  return compareCitations(a, b) > 0
}
