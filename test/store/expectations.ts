import { expect } from 'vitest'
import type { Avatar, VerifiedRecord } from '../../src/record/types.ts'
import type { ChangeEvent, StoredRecord } from '../../src/store/types.ts'
import type { RebuildableStore as Store } from '../../src/store/types.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { naiveFold, type NaiveFold } from '../oracle/naive-fold.ts'
import { claimsOf, contentOf, viewOf } from './read-whole.ts'
import type { AvatarView } from './read-whole.ts'

const PAGE = 7
const TIPS_SHOWN = 16
const MISSING_SHOWN = 100

/** All records of an avatar that a store holds, page by page. */
export async function allRecords(store: Store, avatar: Avatar): Promise<StoredRecord[]> {
  const found: StoredRecord[] = []
  for (;;) {
    const page = await store.records(avatar, { after: found.at(-1)?.sequence ?? 0, limit: PAGE })
    if (page === undefined) return found
    expect(page.records.length).toBeLessThanOrEqual(PAGE)
    found.push(...page.records)
    if (page.records.length < PAGE) return found
  }
}

/** A view with contents in canonical form, and of the summary what the interface promises. */
export function comparableView({ summary, namespaces }: AvatarView) {
  const { avatar, head, tips, tipsTotal, base, digest, pending, missing, records, bytes } = summary
  return {
    summary: { avatar, head, tips, tipsTotal, base, digest, pending, missing, records, bytes },
    namespaces: namespaces.map(({ platform, identity, json }) => ({
      platform,
      identity,
      content: canonicalText(JSON.parse(json)),
    })),
  }
}

/** What a view must be by the oracle's fold of the records held. */
export function expectedView(avatar: Avatar, fold: NaiveFold, held: readonly VerifiedRecord[]) {
  const live = held.filter(({ id }) => fold.statuses.get(id) !== 'superseded')
  return {
    summary: {
      avatar,
      head: fold.head,
      tips: fold.tips.slice(-TIPS_SHOWN),
      tipsTotal: fold.tips.length,
      base: fold.base,
      digest: fold.digest,
      pending: fold.pending,
      missing: { total: fold.missing.length, ids: fold.missing.slice(0, MISSING_SHOWN) },
      records: fold.live,
      bytes: live.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0),
    },
    namespaces: fold.namespaces.map(({ platform, identity, content }) => ({
      platform,
      identity,
      content: canonicalText(content),
    })),
  }
}

/**
 * That everything a store says of one avatar is what the oracle says of the records that it holds, and that it holds what
 * it must of those given.
 *
 * @param given every record ever committed, in order, repetitions included; none was refused
 */
export async function expectOracle(store: Store, avatar: Avatar, given: readonly VerifiedRecord[]): Promise<void> {
  await store.tasksDone()
  const known = new Map<string, VerifiedRecord>()
  for (const record of given) if (!known.has(record.id)) known.set(record.id, record)
  const stored = await allRecords(store, avatar)
  const held = stored.map(({ id }) => known.get(id)).filter((record) => record !== undefined)
  expect(held).toHaveLength(stored.length)
  expect(new Set(stored.map(({ id }) => id)).size).toBe(stored.length)

  const all = naiveFold(avatar, given)
  const fold = naiveFold(avatar, held)
  expect([fold.digest, fold.missing]).toEqual([all.digest, all.missing])
  const liveIds = [...all.statuses].filter(([, status]) => status !== 'superseded').map(([id]) => id)
  expect(liveIds.filter((id) => fold.statuses.get(id) === undefined)).toEqual([])

  const view = await viewOf(store, avatar)
  expect(await store.summary(avatar)).toEqual(view?.summary)
  if (known.size === 0) {
    expect(view).toBeUndefined()
    return
  }
  if (view === undefined) throw new Error('an avatar with records has a view')
  expect(comparableView(view)).toEqual(expectedView(avatar, fold, held))
  for (const { platform, identity, json } of view.namespaces) {
    expect(await contentOf(store, avatar, platform, identity)).toBe(json)
    const claims = await claimsOf(store, platform, identity, 1000)
    expect(claims.filter((claim) => claim.avatar === avatar)).toEqual([{ avatar, json }])
  }
  await expectGone(store, avatar, given, view)

  // One comparison for all: each `expect` costs as much as reading the record.
  const sequences = stored.map(({ sequence }) => sequence)
  expect(sequences).toEqual([...new Set(sequences)].toSorted((left, right) => left - right))
  expect(stored.map(readable)).toEqual(
    stored.map(({ id, sequence }) => {
      const { payload, signature } = known.get(id) ?? { payload: [], signature: [] }
      return readable({
        sequence,
        id,
        payload: Uint8Array.from(payload),
        signature: Uint8Array.from(signature),
        status: fold.statuses.get(id) ?? 'pending',
      })
    }),
  )
  const found = await Promise.all(stored.map(({ id }) => store.record(id)))
  expect(found.map(readable)).toEqual(stored.map(readable))
}

/** A record whose bytes are text, for messages that a person can read. */
function readable(record: StoredRecord | undefined) {
  if (record === undefined) return undefined
  const { payload, signature } = record
  return { ...record, payload: Buffer.from(payload).toString(), signature: Buffer.from(signature).toString('hex') }
}

/** Namespaces that records name and that do not exist now have neither content nor claims. */
async function expectGone(
  store: Store,
  avatar: Avatar,
  given: readonly VerifiedRecord[],
  view: AvatarView,
): Promise<void> {
  const exists = new Set(view.namespaces.map(({ platform, identity }) => JSON.stringify([platform, identity])))
  const named = new Set(
    given.flatMap(({ body }) =>
      (body.type === 'patch' ? [body] : body.state).map(({ platform, identity }) =>
        JSON.stringify([platform, identity]),
      ),
    ),
  )
  for (const name of named) {
    if (exists.has(name)) continue
    const [platform, identity]: [string, string] = JSON.parse(name)
    expect(await contentOf(store, avatar, platform, identity)).toBeUndefined()
    const claims = await claimsOf(store, platform, identity, 1000)
    expect(claims.filter((claim) => claim.avatar === avatar)).toEqual([])
  }
}

/**
 * Commits batches one after the other, and checks after each what was said of every record, and every event.
 */
export async function commitBatches(
  store: Store,
  avatar: Avatar,
  batches: readonly (readonly VerifiedRecord[])[],
): Promise<void> {
  const seen = new Set<string>((await allRecords(store, avatar)).map(({ id }) => id))
  for (const batch of batches) await commitOne(store, avatar, batch, seen)
}

async function commitOne(
  store: Store,
  avatar: Avatar,
  batch: readonly VerifiedRecord[],
  seen: Set<string>,
): Promise<void> {
  const told: ChangeEvent[] = []
  const unsubscribe = store.onCommit((events) => told.push(...events))
  const before = store.lastSequence()
  const results = await store.commit(batch)
  unsubscribe()
  await store.tasksDone()
  expect(results).toHaveLength(batch.length)
  const fresh = new Set<string>()
  const gone = new Set<string>()
  for (const [index, { id }] of batch.entries()) {
    const status = results[index]?.status
    const kept = await store.record(id)
    if (seen.has(id) && kept === undefined) {
      // Held when it came, and superseded and pruned since.
      expect([id, status]).toEqual([id, 'superseded'])
    } else if (seen.has(id)) {
      expect([id, status]).toEqual([id, kept?.status === 'superseded' ? 'superseded' : 'duplicate'])
    } else if (kept === undefined) {
      expect([id, status]).toEqual([id, batch.findIndex((each) => each.id === id) < index ? status : 'superseded'])
      gone.add(id)
    } else {
      expect(['stored', 'pending', 'superseded']).toContain(status)
      seen.add(id)
      fresh.add(id)
    }
  }
  const appended = new Set<string>(told.filter(({ kind }) => kind === 'record').map(({ id }) => id))
  expect([...fresh].filter((id) => !appended.has(id))).toEqual([])
  // What was superseded by a snapshot of the same batch is told, and may be pruned by now.
  expect([...appended].filter((id) => !fresh.has(id) && !gone.has(id))).toEqual([])
  const summary = await store.summary(avatar)
  let sequence = before
  for (const event of told) {
    expect(event.sequence).toBeGreaterThan(sequence)
    sequence = event.sequence
    expect(event).toMatchObject({ avatar, head: summary?.head, digest: summary?.digest })
    const body = batch.find(({ id }) => id === event.id)?.body ?? (await bodyOf(store, event))
    if (body !== undefined) expect(event.counter).toBe(body.counter)
  }
  expect(store.lastSequence()).toBe(sequence)
  expect(await store.events({ after: before, limit: 1000 })).toEqual(told)
  // An avatar's own events are those of its records that are kept, and of all that were superseded.
  expect(await store.events({ after: before, avatar, limit: 1000 })).toEqual(
    told.filter(({ kind, id }) => kind === 'superseded' || !gone.has(id)),
  )
}

/**
 * That the results of a batch say how its records stand when it is done. One that was kept, and then superseded by a
 * snapshot of the same batch, may also be called what it was before.
 */
export async function expectResultsOfNow(store: Store, batch: readonly VerifiedRecord[]): Promise<void> {
  const results = await store.commit(batch)
  await store.tasksDone()
  for (const [index, { id }] of batch.entries()) {
    const status = results[index]?.status
    if (status === 'duplicate') continue
    const kept = await store.record(id)
    const now = kept === undefined ? 'superseded' : kept.status
    expect([now, ...(kept?.status === 'superseded' ? ['stored', 'pending'] : [])]).toContain(status)
  }
}

async function bodyOf(store: Store, event: ChangeEvent): Promise<VerifiedRecord['body'] | undefined> {
  const record = await store.record(event.id)
  return record === undefined ? undefined : JSON.parse(Buffer.from(record.payload).toString('utf8'))
}
