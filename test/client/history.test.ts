import { describe, expect, it } from 'vitest'
import { replay, type HistoryEntry } from '../../src/client/history.ts'
import { buildPatch, buildSnapshot } from '../../src/record/build.ts'
import { nobleEngine } from '../../src/record/engine.ts'
import { signRecord } from '../../src/record/sign.ts'
import type { Avatar, Citation, JsonObject, VerifiedRecord } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'

const key = newKey()
const avatar: Avatar = privateKeySigner(key).avatar
const own = { platform: 'nextid', identity: avatar }
let uuids = 0
const common = () => ({
  avatar,
  network: 'main',
  createdAt: 1_790_000_000,
  uuid: `00000000-0000-4000-8000-${String(uuids++).padStart(12, '0')}`,
})
const at = ({ id, body }: VerifiedRecord): Citation => ({ id, counter: body.counter })
const verified = (body: Parameters<typeof signRecord>[0]): VerifiedRecord =>
  verifyRecord(nobleEngine, 'main', signRecord(body, key), { recoveryByte: false })

function patch(patch: JsonObject, ...prev: VerifiedRecord[]): VerifiedRecord {
  return verified(buildPatch({ ...common(), ...own, patch, prev: prev.map(at) }))
}
function snapshot(content: JsonObject, ...prev: VerifiedRecord[]): VerifiedRecord {
  return verified(buildSnapshot({ ...common(), prev: prev.map(at), state: [{ ...own, content }], parts: [] }))
}
/** What is told of each record, in order, where `base` is the snapshot that counts. */
function told(records: readonly VerifiedRecord[], base: VerifiedRecord | undefined): Partial<HistoryEntry>[] {
  const counter = base?.body.counter ?? 0
  const entries = replay(
    records,
    ({ body }) => (body.counter < counter ? 'superseded' : 'stored'),
    base ? at(base) : null,
  )
  return entries.map(({ isBeforeKnown, changes }) => ({ isBeforeKnown, changes }))
}
const change = (path: string, before: unknown, after: unknown) => ({ ...own, path, before, after })

describe('what a record changed, where records before it are gone', () => {
  const first = patch({ count: 0, name: 'Ada', gone: 1 })
  const second = patch({ count: 1 }, first)
  const third = patch({ count: 2, gone: null }, second)
  const base = snapshot({ count: 2, name: 'Ada' }, third)
  const later = patch({ count: 3 }, base)

  it('is told as ever where all of them are there', () => {
    expect(told([first, second, third, base, later], base).slice(2)).toEqual([
      { isBeforeKnown: true, changes: [change('/count', 1, 2), change('/gone', 1, undefined)] },
      { isBeforeKnown: true, changes: [] },
      { isBeforeKnown: true, changes: [change('/count', 2, 3)] },
    ])
  })

  it('of a snapshot alone: the values that it sets, with no claim that there was nothing before', () => {
    expect(told([base, later], base)).toEqual([
      { isBeforeKnown: false, changes: [change('/count', undefined, 2), change('/name', undefined, 'Ada')] },
      { isBeforeKnown: true, changes: [change('/count', 2, 3)] },
    ])
  })

  it('of a patch in the midst: what it sets and removes', () => {
    expect(told([third, base, later], base)).toEqual([
      { isBeforeKnown: false, changes: [change('/count', undefined, 2), change('/gone', undefined, undefined)] },
      { isBeforeKnown: false, changes: [change('/count', undefined, 2), change('/name', undefined, 'Ada')] },
      { isBeforeKnown: true, changes: [change('/count', 2, 3)] },
    ])
    // The record in the middle of three is gone.
    expect(told([first, third, base], base).map(({ isBeforeKnown }) => isBeforeKnown)).toEqual([true, false, false])
  })

  it('is known again after an earlier snapshot, which stands for what is gone', () => {
    const old = snapshot({ count: 2 }, third)
    const between = patch({ count: 5 }, old)
    const newer = snapshot({ count: 5 }, between)
    expect(told([old, between, newer], newer)).toEqual([
      { isBeforeKnown: false, changes: [change('/count', undefined, 2)] },
      { isBeforeKnown: true, changes: [change('/count', 2, 5)] },
      { isBeforeKnown: true, changes: [] },
    ])
  })

  it('of a snapshot that cites nothing: there was nothing', () => {
    const alone = snapshot({ a: 1 })
    expect(told([alone], alone)).toEqual([{ isBeforeKnown: true, changes: [change('/a', undefined, 1)] }])
  })
})
