/** The state, status and queue of an avatar, as callers get them. */
import type { PatchBody } from '../record/types.ts'
import { writtenRecord } from '../client/sign-patch.ts'
import { nameKey } from '../state/content.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { linkedState } from './linked.ts'
import type { QueuedWrite } from './rows.ts'
import type { LocalInfo, LocalState, WaitingWrite } from './types.ts'

/** @param linked the linked view, and whether its contents are shown */
export function stateOf(replica: AvatarReplica, linked: ReturnType<typeof linkedState>, isLinked: boolean): LocalState {
  const { waiting, shown, avatar } = replica
  const { namespaces: own, ...state } = shown.snapshot()
  const namespaces = isLinked ? linked.namespaces : own
  const touched = new Set(waiting.map(({ record }) => nameKey(record.body as PatchBody)))
  return {
    avatar,
    ...state,
    links: linked.links,
    linkedDigest: linked.linkedDigest,
    namespaces: namespaces.map((each) => ({ ...each, local: touched.has(nameKey(each)) })),
    local: waiting.length > 0,
  }
}

export function infoOf({ avatar, confirmed, status, entries, waiting, damaged }: AvatarReplica): LocalInfo {
  const { head, digest, bytes } = confirmed
  const [stuck, staleSince] = [entries.length - waiting.length, status.live ? null : status.since]
  const { verifiedAt } = status
  return { avatar, head, digest, verifiedAt, staleSince, waiting: waiting.length, stuck, damaged, bytes }
}

export function waitingOf({ avatar, entries }: AvatarReplica): WaitingWrite[] {
  return entries.map(({ record, note }: QueuedWrite) => {
    const { platform, identity, patch } = record.body as PatchBody
    const { state, writtenAt, reason } = note
    return { avatar, platform, identity, patch, ...writtenRecord(record), state, writtenAt, reason }
  })
}
