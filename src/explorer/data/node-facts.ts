/** What the host says about itself, its peers and its avatars. None of it is verified. */
import { parsePeers, parseStatus, type PeerAnswer, type StatusAnswer } from '../../client/node-info.ts'
import { count, list, object, optional, text } from '../../client/shapes.ts'
import type { JsonValue } from '../../client/types.ts'
import { askHost } from './host.ts'

/** An archive can be large, and the host answers when all of it is on disk. */
const IMPORT_TIMEOUT_MS = 600_000

export interface HostStatus extends StatusAnswer {
  /** Of records. */
  readonly bytes: number
  readonly hosting: { readonly mode: string; readonly policy: string; readonly listed: number }
  readonly subscribers: number
  readonly uptime_seconds: number
}

export const readStatus = (signal?: AbortSignal): Promise<HostStatus> =>
  askHost({ path: '/v2/status', signal }, (value) => {
    const status = parseStatus(value)
    const { mode, policy, listed } = object(status['hosting'], 'hosting')
    return {
      ...status,
      bytes: count(status['bytes'], 'bytes'),
      hosting: { mode: text(mode, 'mode'), policy: text(policy, 'policy'), listed: count(listed, 'listed') },
      subscribers: count(status['subscribers'], 'subscribers'),
      uptime_seconds: count(status['uptime_seconds'], 'uptime_seconds'),
    }
  })

export const readPeers = (signal?: AbortSignal): Promise<readonly PeerAnswer[]> =>
  askHost({ path: '/v2/peers', signal }, parsePeers)

export interface AvatarsPage {
  readonly avatars: readonly string[]
  /** Where the next page begins; null at the end. */
  readonly next: string | null
}

/** A page of the avatars that the host holds, in order of their keys. */
export async function readAvatars(limit: number, after: string, signal?: AbortSignal): Promise<AvatarsPage> {
  const query = new URLSearchParams({ limit: String(limit), ...(after === '' ? {} : { cursor: after }) }).toString()
  return await askHost({ path: `/v2/avatars?${query}`, signal }, (value) => {
    const { avatars, cursor } = object(value, 'the answer')
    return {
      avatars: list(avatars, 'avatars', avatarName).slice(0, limit),
      next: optional(cursor, (each) => text(each, 'cursor')),
    }
  })
}

function avatarName(value: JsonValue): string {
  return typeof value === 'string' ? value : text(object(value, 'avatars')['avatar'], 'avatar')
}

/** Avatars that claim an account as theirs. */
export async function findByIdentity(
  platform: string,
  identity: string,
  signal?: AbortSignal,
): Promise<readonly { readonly avatar: string; readonly content: JsonValue }[]> {
  const query = new URLSearchParams({ platform, identity }).toString()
  return await askHost({ path: `/v1/kv/by_identity?${query}`, signal }, (value) =>
    list(object(value, 'the answer')['values'], 'values', (each) => {
      const { avatar, content = null } = object(each, 'values')
      return { avatar: text(avatar, 'avatar'), content }
    }),
  )
}

/** Numbers of records. */
export interface ImportAnswer {
  readonly stored: number
  readonly pending: number
  readonly duplicate: number
  readonly superseded: number
  readonly refused: number
  readonly invalid: number
  /** Why records were refused: the host's messages. */
  readonly refusals: readonly string[]
}

export const importArchive = (file: Blob): Promise<ImportAnswer> =>
  askHost(
    { path: '/v2/archives', body: file, contentType: 'application/x-ndjson', timeoutMs: IMPORT_TIMEOUT_MS },
    (value) => {
      const answer = object(value, 'the answer')
      const of = (name: string): number => count(answer[name], name)
      return {
        stored: of('stored'),
        pending: of('pending'),
        duplicate: of('duplicate'),
        superseded: of('superseded'),
        refused: of('refused'),
        invalid: of('invalid'),
        refusals: Object.values(object(answer['refusals'], 'refusals')).map((each) =>
          text(object(each, 'refusals')['message'], 'message'),
        ),
      }
    },
  )
