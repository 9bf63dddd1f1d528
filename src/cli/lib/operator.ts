import { codeOf, messageOf } from '../../platform/errors.ts'
import type { Config } from '../../config/load.ts'
import { readOperatorToken } from '../../hosting/operator-token.ts'
import type { HostingCounts, HostingEntry, HostingListName, HostingMode, HostingPolicy } from '../../hosting/types.ts'
import type { Avatar } from '../../record/types.ts'
import { dataDirConfig, noteAssumed, openPlace } from './archive-place.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { connectionProblem, notANode, parseUrl, readBounded } from './node-client.ts'
import { printable } from './text.ts'

export interface HostingPage {
  readonly entries: readonly HostingEntry[]
  readonly counts: HostingCounts
  readonly mode: HostingMode
  readonly policy: HostingPolicy
  /** Where to go on; null at the end. */
  readonly cursor: Avatar | null
}

export type HostingAction = 'add' | 'remove' | 'block' | 'unblock'

/** What an operator does with a node, whether it runs or not. */
export interface Operator {
  /** Undefined where the node does not run, and what it is told at its start is not known here. */
  readonly mode: HostingMode | undefined
  readonly policy: HostingPolicy | undefined
  list(name: HostingListName, after: Avatar | null): Promise<HostingPage>
  change(action: HostingAction, avatars: readonly Avatar[], forget: boolean): Promise<void>
  /** Resolves with how many avatars were dropped. */
  tidy(): Promise<number>
  invite(count: number): Promise<readonly string[]>
  /** Resolves with how many codes there were. */
  revokeInvites(): Promise<number>
  close(): Promise<void>
}

export interface OperatorOptions {
  readonly node: string
  readonly dataDir?: string
  readonly network?: string
  readonly config?: string
}

/** Dropping what is held of a thousand avatars takes a while. */
const TIMEOUT_MS = 120_000
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** Avatars in one request, and entries in one answer. */
const AVATARS_PER_REQUEST = 250
const PAGE = 1_000
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/**
 * Gets at a node's hosting as its operator: by the token in its data directory where it runs, else in the directory itself.
 *
 * @throws CliError, StoreError, HostingError
 */
export async function openOperator(context: CommandContext, options: OperatorOptions): Promise<Operator> {
  const config = await dataDirConfig(context, options)
  const token = await readOperatorToken(config.dataDir)
  if (token === undefined) return openStopped(context, config, options.node)
  const running = createRunning(options.node, token, config.dataDir)
  try {
    const { mode, policy } = await running.list('hosted', null)
    return { ...running, mode, policy }
  } catch (error) {
    if (codeOf(error) !== 'unreachable') throw error
    return await openStopped(context, config, options.node)
  }
}

async function openStopped(context: CommandContext, config: Config, url: string): Promise<Operator> {
  const place = await openPlace(context, config, false).catch((error: unknown) => {
    if (!messageOf(error).startsWith('A node runs on')) throw error
    const what = `A node runs on ${config.dataDir}, but does not answer at ${url}.`
    throw new CliError('unreachable', `${what} Name its HTTP address with --node URL.`)
  })
  const { hosting } = place
  return {
    mode: config.said.has('hosting_mode') ? hosting.mode : undefined,
    policy: config.said.has('hosting_policy') ? hosting.policy : undefined,
    list(name, after) {
      if (after === null) noteAssumed(context, place, ['hosting_mode', 'hosting_policy'])
      const entries = hosting.list(name, { limit: PAGE, ...(after === null ? {} : { after }) })
      const cursor = entries.length < PAGE ? null : (entries.at(-1)?.avatar ?? null)
      const { mode, policy } = hosting
      return Promise.resolve({ entries, counts: hosting.counts(), mode, policy, cursor })
    },
    change: (action, avatars, forget) =>
      action === 'block' ? hosting.block(avatars, { forget }) : hosting[action](avatars),
    tidy() {
      noteAssumed(context, place, ['hosting_mode'])
      return hosting.tidy()
    },
    invite: (count) => hosting.invite(count),
    revokeInvites: () => hosting.revokeInvites(),
    close: () => place.close(),
  }
}

function createRunning(url: string, token: string, dataDir: string): Omit<Operator, 'mode' | 'policy'> {
  const base = parseUrl(url)
  const { protocol, hostname } = new URL(base)
  if (protocol === 'http:' && !LOOPBACK.test(hostname)) {
    throw new CliError('usage', `The operator's token is not sent in the clear to ${hostname}. Use https, or a tunnel.`)
  }

  async function call<T>(path: string, body?: unknown): Promise<T> {
    let response: Response
    let text: string
    try {
      response = await fetch(`${base}/v2/operator/${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        // The token is for this address alone.
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      text = await readBounded(response, MAX_ANSWER_BYTES)
    } catch (error) {
      if (error instanceof CliError) throw error
      throw new CliError(
        'unreachable',
        `Cannot reach the node at ${url}: ${connectionProblem(error)}. Name another with --node URL.`,
      )
    }
    if (response.status === 401) {
      const what = `The node at ${url} is not the one whose data is in ${dataDir}.`
      throw new CliError('refused', `${what} Name the right ones with --node URL and --data-dir DIR.`)
    }
    if (response.status !== 200)
      throw new CliError('refused', `The node at ${url} refuses: ${printable(problemOf(text))}`)
    try {
      return JSON.parse(text) as T
    } catch {
      throw new CliError('refused', notANode(url, 'it is not JSON'))
    }
  }

  return {
    list(name, after) {
      const query = new URLSearchParams({
        list: name,
        limit: String(PAGE),
        ...(after === null ? {} : { cursor: after }),
      })
      return call(`hosting?${query}`)
    },
    async change(action, avatars, forget) {
      for (let at = 0; at < avatars.length; at += AVATARS_PER_REQUEST) {
        await call('hosting', { action, forget, avatars: avatars.slice(at, at + AVATARS_PER_REQUEST) })
      }
    },
    tidy: async () => (await call<{ dropped: number }>('hosting/tidy', {})).dropped,
    invite: async (count) => (await call<{ codes: string[] }>('invites', { count })).codes,
    revokeInvites: async () => (await call<{ revoked: number }>('invites/revoke', {})).revoked,
    close: () => Promise.resolve(),
  }
}

function problemOf(text: string): string {
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown }
    return `${String(code)}: ${String(message)}`
  } catch {
    return 'without a reason'
  }
}
