import { describe, expect, test } from 'vitest'
import type { Citation, RecordBody, RecordId } from '../../src/record/types.ts'
import { AvatarState } from '../../src/state/avatar-state.ts'
import { type StateSource } from '../../src/state/state-source.ts'
import type { PendingRecord } from '../../src/state/waiting.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'

const PARTS = 300

/** Holds records in memory, and counts what is asked for. */
class CountingSource implements StateSource {
  readonly records = new Map<RecordId, RecordBody>()
  lookups = 0

  held(id: RecordId): RecordBody | undefined {
    this.lookups += 1
    return this.records.get(id)
  }

  body({ id }: Citation): RecordBody {
    return this.records.get(id) as RecordBody
  }

  marks(): undefined {}

  member(): undefined {}
}

function hold(state: AvatarState, source: CountingSource, records: readonly TestRecord[]): void {
  for (const record of records) {
    source.records.set(record.id, record.body)
    state.add(record)
  }
}

/** Snapshots of one counter, in order, that name the same parts. */
function snapshotsOf(writer: Writer, count: number, parts: readonly TestRecord[]): TestRecord[] {
  const names = parts.map(({ id }) => id)
  const snapshots = Array.from({ length: count }, () => writer.snapshot([], [], names))
  return snapshots.sort((a, b) => (a.id < b.id ? -1 : 1))
}

describe('snapshots that lack parts', () => {
  const writer = new Writer(1)
  const parts = Array.from({ length: PARTS }, () => writer.part(1))
  const snapshots = snapshotsOf(writer, 16, parts)
  const greatest = { counter: 1, id: snapshots.at(-1)!.id }

  test('a part that they lack is crossed off: nothing that they name is looked up again', () => {
    const source = new CountingSource()
    const state = new AvatarState(writer.avatar, source)
    hold(state, source, snapshots)
    source.lookups = 0
    hold(state, source, parts.slice(1))
    expect({ lookups: source.lookups, base: state.base }).toEqual({ lookups: 0, base: null })
    expect([...state.missing()]).toEqual([parts[0]!.id])
    hold(state, source, parts.slice(0, 1))
    expect({ base: state.base, incomplete: state.waiting.snapshots }).toEqual({ base: greatest, incomplete: 0 })
    expect([...state.missing()]).toEqual([])
  })

  test('the parts that they lack are known again after what waits was read from disk', () => {
    const source = new CountingSource()
    const state = new AvatarState(writer.avatar, source)
    hold(state, source, [...parts.slice(0, 100), ...snapshots, ...parts.slice(100, 200)])
    const again = new AvatarState(writer.avatar, source, {
      base: null,
      tips: [],
      pendingRecords: state.waiting.all(),
    })
    expect([...again.missing()].sort()).toEqual([...state.missing()].sort())
    hold(again, source, parts.slice(200))
    expect(again.base).toEqual(greatest)
  })

  test('a part of another counter, or a patch of that id, completes none, but is not missing', () => {
    const source = new CountingSource()
    const state = new AvatarState(writer.avatar, source)
    const [patch, part] = [writer.patch([]), writer.part(2)]
    const snapshot = writer.snapshot([], [], [patch.id, part.id])
    hold(state, source, [snapshot, patch, part])
    expect({ base: state.base, incomplete: state.waiting.snapshots }).toEqual({ base: null, incomplete: 1 })
    expect([...state.missing()]).toEqual([])
  })

  test('which record would become the base, or make one', () => {
    const source = new CountingSource()
    const state = new AvatarState(writer.avatar, source)
    const [first, last] = parts.slice(0, 2)
    const [low, high] = snapshotsOf(writer, 2, [first!, last!])
    expect(state.wouldRebase(high!)).toBe(false)
    hold(state, source, [low!, high!])
    expect([first!, last!].map((part) => state.wouldRebase(part))).toEqual([false, false])
    hold(state, source, [first!])
    expect([writer.part(1), last!, writer.patch([])].map((record) => state.wouldRebase(record))).toEqual([
      false,
      true,
      false,
    ])
    hold(state, source, [last!])
    expect(state.base).toEqual({ counter: 1, id: high!.id })
    expect([writer.snapshot([high!]), low!].map((record) => state.wouldRebase(record))).toEqual([true, false])
  })
})

test('what is missing is told without a look at what each waiting record names', () => {
  const writer = new Writer(1)
  let reads = 0
  const names = Array.from({ length: PARTS }, () => ({ counter: 1, id: writer.part(1).id }))
  const counted = new Proxy(names, {
    get(target, key) {
      reads += 1
      return Reflect.get(target, key)
    },
  })
  const pending: PendingRecord = { counter: 1, id: writer.snapshot([]).id, type: 'snapshot', names: counted }
  const stored = { base: null, tips: [], pendingRecords: [pending] }
  const state = new AvatarState(writer.avatar, new CountingSource(), stored)
  reads = 0
  expect([...state.missing()].sort()).toEqual(names.map(({ id }) => id).sort())
  expect(reads).toBe(0)
})

test('a name under two counters is missing at the greater one', () => {
  const writer = new Writer(1)
  const source = new CountingSource()
  const state = new AvatarState(writer.avatar, source)
  const unknown = writer.part(1).id
  const [low, high] = [writer.patch([{ counter: 1, id: unknown }]), writer.patch([{ counter: 9, id: unknown }])]
  hold(state, source, [high, low])
  const bases = [5, 11].map((counter) => writer.snapshot([{ counter: counter - 1, id: writer.part(1).id }]))
  hold(state, source, bases.slice(0, 1))
  expect([...state.missing()]).toEqual([unknown])
  hold(state, source, bases.slice(1))
  expect([...state.missing()]).toEqual([])
})
