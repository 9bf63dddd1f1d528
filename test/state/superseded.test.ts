import { describe, expect, test } from 'vitest'
import type { Citation, RecordId } from '../../src/record/types.ts'
import { AvatarState } from '../../src/state/avatar-state.ts'
import { type StateSource } from '../../src/state/state-source.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'

/** Takes records in one after the other; returns what each of them superseded unseen. */
function addAll(writer: Writer, records: readonly TestRecord[]): RecordId[][] {
  const held = new Map<RecordId, TestRecord>()
  const source: StateSource = {
    held: (id) => held.get(id)?.body,
    body: ({ id }: Citation) => held.get(id)!.body,
    marks: () => undefined,
    member: () => undefined,
  }
  const state = new AvatarState(writer.avatar, source)
  return records.map((record) => {
    held.set(record.id, record)
    return state.add(record).map(({ id }) => id)
  })
}

describe('what a snapshot supersedes unseen', () => {
  const writer = new Writer(1)

  test('a fork that ends below it, whole', () => {
    const [root, seen, next] = writer.chain(3)
    const fork = [writer.patch([root!])]
    const base = writer.snapshot([next!])
    expect(addAll(writer, [root!, seen!, next!, ...fork, base]).at(-1)).toEqual([fork[0]!.id])
  })

  test('the beginning of a fork that goes on above it', () => {
    const root = writer.patch([])
    const base = writer.snapshot([root])
    const lost = writer.patch([])
    const fork = writer.chain(4, [lost])
    expect(addAll(writer, [root, lost, ...fork, base]).at(-1)).toEqual([lost.id])
  })

  test('a patch that waits, unless the snapshot cites it or what is built on it', () => {
    const unknown = { counter: 1, id: `0x${'00'.repeat(32)}` } as const
    const [cited, below, uncited] = [1, 2, 3].map(() => writer.patch([unknown]))
    const above = writer.patch([below!])
    const base = writer.snapshot([cited!, above])
    expect(addAll(writer, [cited!, below!, above, uncited!, base]).at(-1)).toEqual([uncited!.id])
  })

  test('nothing that its author had seen, through whatever fork', () => {
    const root = writer.patch([])
    const left = writer.chain(3, [root])
    const right = writer.chain(2, [root])
    const merge = writer.patch([left.at(-1)!, right.at(-1)!])
    const base = writer.snapshot([merge])
    expect(addAll(writer, [root, ...right, ...left, merge, base]).at(-1)).toEqual([])
  })
})
