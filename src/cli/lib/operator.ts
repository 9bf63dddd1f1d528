import { codeOf } from '../../platform/errors.ts'
import { ClientError } from '../../client/errors.ts'
import { nodeAddress } from '../../client/node-pool.ts'
import { createOperatorApi, type HostingListAnswer } from '../../client/operator-api.ts'
import type { Config } from '../../config/load.ts'
import { readOperatorToken } from '../../hosting/operator-token.ts'
import type { HostingEntry, HostingListName, HostingMode, HostingPolicy } from '../../hosting/types.ts'
import type { Avatar } from '../../record/types.ts'
import { dataDirConfig, noAnswer, noteAssumed, openPlace, type PlaceOptions } from './archive-place.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { transportOptions } from './node.ts'

type HostingPage = Omit<HostingListAnswer, 'entries'> & { readonly entries: readonly HostingEntry[] }
export type HostingAction = 'add' | 'remove' | 'block' | 'unblock'

/** What an operator can do with a node, running or not. */
export interface Operator {
  /** Undefined if the node does not run and no configuration says. */
  readonly mode: HostingMode | undefined
  readonly policy: HostingPolicy | undefined
  list(name: HostingListName, after: Avatar | null): Promise<HostingPage>
  change(action: HostingAction, avatars: readonly Avatar[], forget: boolean): Promise<void>
  /** Resolves with the number of avatars whose records were deleted. */
  tidy(): Promise<number>
  invite(count: number): Promise<readonly string[]>
  /** Resolves with the number of revoked codes. */
  revokeInvites(): Promise<number>
  close(): Promise<void>
}

/** Deleting the records of a thousand avatars takes a while. */
const TIMEOUT_MS = 120_000
/** Entries in one answer. */
const PAGE = 1_000

/**
 * Works on a node's hosting as its operator: with the token in the data directory if the node runs, else in the directory.
 *
 * @throws CliError, StoreError, HostingError
 */
export async function asOperator<T>(
  context: CommandContext,
  options: PlaceOptions,
  work: (operator: Operator) => Promise<T>,
): Promise<T> {
  const operator = await openOperator(context, options)
  try {
    return await work(operator)
  } finally {
    await operator.close()
  }
}

async function openOperator(context: CommandContext, options: PlaceOptions): Promise<Operator> {
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
  const place = await openPlace(context, config, false, noAnswer(config.dataDir, url))
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
  const api = createOperatorApi(nodeAddress(url), token, transportOptions({ timeoutMs: TIMEOUT_MS }))
  const told = async <T>(work: Promise<T>): Promise<T> =>
    await work.catch((error: unknown) => {
      throw ownNodeError(error, url, dataDir)
    })
  return {
    list: (name, after) => told(api.list(name, after, PAGE)),
    change: (action, avatars, forget) => told(api.change(action, avatars, forget)),
    tidy: () => told(api.tidy()),
    invite: (count) => told(api.invite(count)),
    revokeInvites: () => told(api.revokeInvites()),
    close: () => Promise.resolve(),
  }
}

/** The error if a node does not accept the token of a data directory; any other error unchanged. */
export function ownNodeError(error: unknown, url: string, dataDir: string): unknown {
  if (!(error instanceof ClientError) || (error.status !== 401 && error.status !== 404)) return error
  const what = `The node at ${url} is not the one whose data is in ${dataDir}.`
  return new CliError('refused', `${what} Name the right ones with --node URL and --data-dir DIR.`)
}
