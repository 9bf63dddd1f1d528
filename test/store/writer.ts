import type { Citation, JsonObject, PatchBody, RecordId, SnapshotBody, StateEntry } from '../../src/record/types.ts'
import { signBody, testKey, type TestKey, type TestRecord } from '../oracle/signing.ts'

export const ALICE = { platform: 'twitter', identity: 'alice' } as const

interface Where {
  readonly platform: string
  readonly identity: string
}

/** Writes records of one avatar by hand, each with a uuid of its own. */
export class Writer {
  readonly key: TestKey
  #written = 0

  constructor(seed: number) {
    this.key = testKey(seed)
  }

  get avatar() {
    return this.key.avatar
  }

  patch(prev: readonly (TestRecord | Citation)[], patch: JsonObject = {}, where: Where = ALICE): TestRecord {
    const cited = citations(prev)
    const { platform, identity } = where
    const body: PatchBody = { ...this.#common(after(cited)), type: 'patch', platform, identity, patch, prev: cited }
    return signBody(this.key, body)
  }

  snapshot(
    prev: readonly (TestRecord | Citation)[],
    state: readonly StateEntry[] = [],
    parts: readonly RecordId[] = [],
  ): TestRecord {
    const cited = citations(prev)
    const body: SnapshotBody = { ...this.#common(after(cited)), type: 'snapshot', parts, prev: cited, state }
    return signBody(this.key, body)
  }

  part(counter: number, state: readonly StateEntry[] = []): TestRecord {
    return signBody(this.key, { ...this.#common(counter), type: 'part', state })
  }

  /** `length` patches, each citing the one before it. */
  chain(length: number, from: readonly TestRecord[] = []): TestRecord[] {
    const records: TestRecord[] = []
    for (let index = 0; index < length; index += 1) {
      const last = records.at(-1)
      records.push(this.patch(last === undefined ? from : [last], { [`k${index % 3}`]: index }))
    }
    return records
  }

  #common(counter: number) {
    this.#written += 1
    return {
      avatar: this.key.avatar,
      counter,
      created_at: Math.max(1_790_000_000, counter),
      network: 'main',
      uuid: `00000000-0000-4000-8000-${String(this.#written).padStart(12, '0')}`,
      version: '2' as const,
    }
  }
}

export function entry(content: JsonObject, where: Where = ALICE): StateEntry {
  return { content, identity: where.identity, platform: where.platform }
}

export function placeOf(record: TestRecord): Citation {
  return { counter: record.body.counter, id: record.id }
}

function citations(prev: readonly (TestRecord | Citation)[]): Citation[] {
  return prev
    .map((cited) => ('body' in cited ? placeOf(cited) : cited))
    .sort((left, right) => left.counter - right.counter || (left.id < right.id ? -1 : 1))
}

function after(prev: readonly Citation[]): number {
  return 1 + Math.max(0, ...prev.map(({ counter }) => counter))
}
