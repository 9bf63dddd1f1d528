/** Hands records to one node, in requests that it takes. */
import type { RecordId, VerifiedRecord } from '../record/types.ts'
import type { SubmitAnswer } from './answers.ts'
import { MAX_HEALING_ROUNDS, NEAR_RECORDS, SUBMIT_BYTES, SUBMIT_RECORDS } from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import { recordText } from './sign-patch.ts'
import type { RecordText } from './types.ts'

/** @param results what became of them, filled as answers come: after a failure, those of the requests before it */
export async function submitAll(
  api: NodeApi,
  texts: readonly RecordText[],
  signal: AbortSignal | undefined,
  results: SubmitAnswer[] = [],
): Promise<SubmitAnswer[]> {
  for (let at = 0; at < texts.length;) {
    const batch: RecordText[] = []
    let bytes = 0
    for (const text of texts.slice(at, at + SUBMIT_RECORDS)) {
      bytes += encoder.encode(text.payload).length
      if (batch.length > 0 && bytes > SUBMIT_BYTES) break
      batch.push(text)
    }
    results.push(...(await api.submit(batch, signal)))
    at += batch.length
  }
  return results
}

const encoder = new TextEncoder()

/** Gives a node what it lacks of what it was given, as far as it is known here; true where it then lacks nothing. */
export async function heal(api: NodeApi, local: LocalAvatar, signal: AbortSignal | undefined): Promise<boolean> {
  const given = new Set<RecordId>()
  for (let round = 0; round < MAX_HEALING_ROUNDS; round++) {
    const document = await api.document(local.avatar, signal)
    if (document === undefined) return false
    if (document.missing.total === 0) return true
    // Mostly a node lacks but the last few; one that lacks more may have nothing.
    const most = round === 0 ? NEAR_RECORDS : Infinity
    const records = grounds(local, document.missing.ids, most).filter(({ id }) => !given.has(id))
    if (records.length === 0) return false
    for (const { id } of records) given.add(id)
    await submitAll(api, records.map(recordText), signal)
  }
  return false
}

/** Records, and what they build on, down to the base and its parts: the nearest first reached, in ascending order. */
function grounds(local: LocalAvatar, ids: readonly RecordId[], most: number): VerifiedRecord[] {
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
