import type { RecordId, VerifiedRecord } from '../record/types.ts'
import { MAX_SENDING_ROUNDS, NEAR_RECORDS } from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import { recordText } from './sign-patch.ts'
import { submitAll } from './submit-records.ts'

/** Sends a node what it says is missing of an avatar, as far as it is known here; true where then nothing is missing. */
export async function sendMissing(api: NodeApi, local: LocalAvatar, signal: AbortSignal | undefined): Promise<boolean> {
  const sent = new Set<RecordId>()
  for (let round = 0; round < MAX_SENDING_ROUNDS; round++) {
    const document = await api.document(local.avatar, signal)
    if (document === undefined) return false
    if (document.missing.total === 0) return true
    // Mostly a node lacks only the last few; one that lacks more may have nothing.
    const most = round === 0 ? NEAR_RECORDS : Infinity
    const records = ancestors(local, document.missing.ids, most).filter(({ id }) => !sent.has(id))
    if (records.length === 0) return false
    for (const { id } of records) sent.add(id)
    await submitAll(api, records.map(recordText), { signal })
  }
  return false
}

/** Records, and what they cite, down to the base and its parts: at most the nearest `most`, by ascending counter. */
function ancestors(local: LocalAvatar, ids: readonly RecordId[], most: number): VerifiedRecord[] {
  const found = new Map<RecordId, VerifiedRecord>()
  const todo = [...ids, ...(local.base === null ? [] : [local.base.id])]
  for (const id of todo) {
    const record = local.get(id)
    if (record === undefined || found.has(id)) continue
    if (found.size >= most) break
    found.set(id, record)
    const { body } = record
    if (body.type !== 'part') todo.push(...body.prev.map((each) => each.id))
    if (body.type === 'snapshot') todo.push(...body.parts)
  }
  return [...found.values()].sort((a, b) => a.body.counter - b.body.counter)
}
