/** What the host says about itself, its peers and its avatars. None of it is verified. */
import { parseNodeInfo, type NodeInfo } from '../../client/node-about.ts'
import { parsePeers, statusShapes, type PeerAnswer } from '../../client/node-info.ts'
import { count, fields, list, object, openFields, optional, text } from '../../client/shapes.ts'
import type { JsonValue } from '../../client/types.ts'
import { askHost } from './host.ts'

/** An archive can be large, and the host answers when all of it is on disk. */
const IMPORT_TIMEOUT_MS = 600_000

export type HostStatus = ReturnType<typeof parseHostStatus>
const parseHostStatus = openFields({
  ...statusShapes,
  /** Of records. */
  bytes: count,
  hosting: fields({ mode: text, policy: text, listed: count }),
  disk: optional(fields({ state: text })),
  subscribers: count,
  /** Null: a node of an earlier version. */
  reachability: optional(openFields({ text })),
  uptime_seconds: count,
})

export const readStatus = (signal?: AbortSignal): Promise<HostStatus> =>
  askHost({ path: '/v2/status', signal }, parseHostStatus)

export const readNodeInfo = (signal?: AbortSignal): Promise<NodeInfo> =>
  askHost({ path: '/v2/node', signal }, parseNodeInfo)

export const readPeers = (signal?: AbortSignal): Promise<readonly PeerAnswer[]> =>
  askHost({ path: '/v2/peers', signal }, parsePeers)

/** Avatars that claim an account as theirs. */
export async function findByIdentity(platform: string, identity: string, signal?: AbortSignal) {
  const query = new URLSearchParams({ platform, identity }).toString()
  return (await askHost({ path: `/v1/kv/by_identity?${query}`, signal }, parseClaims)).values
}

const parseClaims = fields({
  values: list(fields({ avatar: text, content: (value): JsonValue => value ?? null })),
})

/** Numbers of records, and why some were refused. */
export type ImportAnswer = ReturnType<typeof parseImport>
const parseImport = fields({
  stored: count,
  pending: count,
  duplicate: count,
  superseded: count,
  refused: count,
  invalid: count,
  /** The host's messages. */
  refusals: (value, name) => Object.values(object(value, name)).map((each) => fields({ message: text })(each).message),
})

export const importArchive = (file: Blob): Promise<ImportAnswer> =>
  askHost(
    { path: '/v2/archives', body: file, contentType: 'application/x-ndjson', timeoutMs: IMPORT_TIMEOUT_MS },
    parseImport,
  )
