/** Nodes as commands talk to them: by the client's one transport. */
import { createNodeApi, type NodeApi } from '../../client/node-api.ts'
import { nodeAddress } from '../../client/node-pool.ts'
import { TIMEOUT_MS } from '../../client/limits.ts'
import { fetchFor } from '../../client/platform.ts'
import type { TransportOptions } from '../../client/transport.ts'

export const DEFAULT_NODE_URL = 'http://127.0.0.1:4381'

/** A node that refuses to show an avatar says why, and where it lives: that is for the person at the terminal. */
const ABSENT_CODES: ReadonlySet<string> = new Set(['unknown_avatar', 'unknown_namespace'])

export interface NodeOptions {
  /** How long the node may be silent. */
  readonly timeoutMs?: number
  /** Ends all calls. */
  readonly signal?: AbortSignal
  /** Default: the platform's. */
  readonly fetch?: typeof fetch
}

export function transportOptions({ timeoutMs = TIMEOUT_MS, signal, fetch }: NodeOptions = {}): TransportOptions {
  return { ...fetchFor(fetch), timeoutMs, signal, absentCodes: ABSENT_CODES }
}

/**
 * @param url `http://` or `https://` address of the node; a path before the interface's own is kept
 * @throws ClientError `usage` where the URL cannot be used
 */
export function nodeAt(url: string, options?: NodeOptions): NodeApi {
  return createNodeApi(nodeAddress(url), transportOptions(options))
}
