/** Who runs a node, and what it stores for whom (`GET /v2/node`), checked. */
import { ClientError } from './errors.ts'
import { MAX_SMALL_ANSWER_BYTES } from './limits.ts'
import { count, fields, flag, list, openFields, optional, text, type Shape } from './shapes.ts'
import type { Transport } from './transport.ts'

/** Longest texts that nodes may state; the client cuts longer ones. */
const MAX_NAME_CHARACTERS = 64
const MAX_CONTACT_CHARACTERS = 254
const MAX_POLICY_CHARACTERS = 4_000

const stated = (most: number): Shape<string | null> => optional((value, name) => text(value, name).slice(0, most))

/**
 * Who runs a node, and what it stores for whom, as its operator states it: nothing of it is signed. Texts are plain text of a
 * stranger; show them as text. Null: not stated, or no limit. Nodes may say more than this.
 */
export interface NodeInfo {
  /** At most 64 characters. */
  readonly name: string | null
  /** A mail address or an `https://` URL. */
  readonly contact: string | null
  /** Whom and what the node hosts, in words; can have several lines. */
  readonly policy: string | null
  /** URL of the node for others. */
  readonly public_url: string | null
  readonly network: string
  readonly version: string
  readonly peer_id: string
  /** Multiaddrs that can be dialled over the internet. */
  readonly addresses: readonly string[]
  /** `mode`: `all` or `listed`. `policy`: who gets on the list on request: `open`, `invite` or `closed`. */
  readonly hosting: { readonly mode: string; readonly policy: string }
  /** `kept`: whether the node keeps and shows records that a snapshot has replaced. `erased_kept`: even of erased avatars. */
  readonly history: { readonly kept: boolean; readonly erased_kept: boolean }
  /** Most bytes and records of one avatar, and of all together. */
  readonly quotas: Readonly<Record<'avatar_bytes' | 'avatar_records' | 'total_bytes' | 'total_records', number | null>>
}

/** @throws TypeError */
export const parseNodeInfo: Shape<NodeInfo> = openFields({
  name: stated(MAX_NAME_CHARACTERS),
  contact: stated(MAX_CONTACT_CHARACTERS),
  policy: stated(MAX_POLICY_CHARACTERS),
  public_url: stated(MAX_CONTACT_CHARACTERS),
  network: text,
  version: text,
  peer_id: text,
  addresses: list(text),
  hosting: fields({ mode: text, policy: text }),
  history: fields({ kept: flag, erased_kept: flag }),
  quotas: fields({
    avatar_bytes: optional(count),
    avatar_records: optional(count),
    total_bytes: optional(count),
    total_records: optional(count),
  }),
})

/**
 * @returns undefined if the node is of a version that does not tell
 * @throws ClientError
 */
export async function readNodeInfo(transport: Transport, signal?: AbortSignal): Promise<NodeInfo | undefined> {
  try {
    const request = { path: '/v2/node', maxBytes: MAX_SMALL_ANSWER_BYTES, signal }
    return (await transport.ask(request, parseNodeInfo)).value
  } catch (error) {
    if (error instanceof ClientError && error.status === 404) return undefined
    throw error
  }
}
