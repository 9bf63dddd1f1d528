import { readFileSync } from 'node:fs'
import type { Avatar, Citation, JsonObject, RecordBody, RecordId } from '../../src/record/types.ts'
import type { TestRecord } from './signing.ts'

type VectorRecords = Readonly<
  Record<string, { readonly payload: string; readonly signature: string; readonly id: RecordId }>
>

interface VectorFile {
  readonly keys: Readonly<Record<'a' | 'b', { readonly avatar: Avatar }>>
  readonly records: VectorRecords
  readonly folds: readonly {
    readonly name: string
    readonly records: readonly string[]
    readonly expect: {
      readonly head: number
      readonly tips: readonly Citation[]
      readonly base: Citation | null
      readonly pending: number
      readonly missing: readonly RecordId[]
      readonly live: number
      readonly digest: string
      readonly namespaces: readonly { platform: string; identity: string; content: JsonObject }[]
    }
  }[]
}

/** One worked example of docs/protocol.md: a set of records, and the state that it makes. */
export interface FoldVector {
  readonly name: string
  readonly avatar: Avatar
  readonly records: readonly TestRecord[]
  readonly expected: VectorFile['folds'][number]['expect']
}

export function foldVectors(): FoldVector[] {
  const file: VectorFile = JSON.parse(
    readFileSync(new URL('../conformance/vectors/records.json', import.meta.url), 'utf8'),
  )
  return file.folds.map(({ name, records, expect }) => ({
    name,
    avatar: file.keys.a.avatar,
    records: records.map((each) => recordOf(file.records, each)),
    expected: expect,
  }))
}

/** One worked example of docs/protocol.md, "Linked keys": records of several avatars, and the linked view of one of them. */
export interface LinkVector {
  readonly name: string
  readonly avatar: Avatar
  readonly records: readonly TestRecord[]
  readonly expected: {
    readonly digest: string
    readonly linked_digest: string
    readonly links: readonly { key: string; avatar: string; label: string | null; digest: string | null }[]
    readonly namespaces: readonly { platform: string; identity: string; content: JsonObject }[]
  }
}

export function linkVectors(): LinkVector[] {
  const file: {
    readonly keys: { readonly owner: { readonly avatar: Avatar } }
    readonly records: VectorRecords
    readonly cases: readonly {
      readonly name: string
      readonly records: readonly string[]
      readonly expect: LinkVector['expected']
    }[]
  } = JSON.parse(readFileSync(new URL('../conformance/vectors/links.json', import.meta.url), 'utf8'))
  return file.cases.map(({ name, records, expect }) => ({
    name,
    avatar: file.keys.owner.avatar,
    records: records.map((each) => recordOf(file.records, each)),
    expected: expect,
  }))
}

function recordOf(records: VectorRecords, name: string): TestRecord {
  const vector = records[name]
  if (vector === undefined) throw new Error(`the vectors have no record ${name}`)
  const body: RecordBody = JSON.parse(vector.payload)
  return {
    payload: Buffer.from(vector.payload, 'utf8'),
    signature: Buffer.from(vector.signature.slice(2), 'hex'),
    id: vector.id,
    body,
  }
}
