import { nodePlatform } from '../../src/archive/node.ts'
import type { ArchiveSource } from '../../src/archive/format.ts'
import { readArchive } from '../../src/archive/reader.ts'
import type { ArchiveEvent, ReadOptions } from '../../src/archive/types.ts'
import { writeArchive } from '../../src/archive/writer.ts'
import type { WriteOptions } from '../../src/archive/writer.ts'
import type { Avatar } from '../../src/record/types.ts'
import type { TestRecord } from '../oracle/signing.ts'

export const CREATED_AT = 1_790_000_000

/** Records in memory as a source of archives. */
export function sourceOf(records: readonly TestRecord[]): ArchiveSource {
  const byAvatar = new Map<Avatar, TestRecord[]>()
  for (const record of records) {
    const { avatar } = record.body
    byAvatar.set(avatar, [...(byAvatar.get(avatar) ?? []), record])
  }
  return {
    async *avatars() {
      yield* [...byAvatar.keys()].sort()
    },
    async *records(avatar) {
      yield* (byAvatar.get(avatar) ?? []).toSorted(byPlace)
    },
  }
}

function byPlace(a: TestRecord, b: TestRecord): number {
  return a.body.counter - b.body.counter || (a.id < b.id ? -1 : 1)
}

/** The bytes of an archive of some records. */
export async function archiveOf(records: readonly TestRecord[], options: Partial<WriteOptions> = {}): Promise<Buffer> {
  const settings = { network: 'main', createdAt: CREATED_AT, history: false, ...options }
  return Buffer.concat(await collect(writeArchive(nodePlatform, sourceOf(records), settings)))
}

/** Bytes in pieces of one size. */
export async function* chunksOf(bytes: Uint8Array, size = 4_096): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** What reading says of bytes, faults as `line code`. */
export async function readAll(bytes: Uint8Array, options: ReadOptions & { readonly size?: number } = {}) {
  const events: ArchiveEvent[] = await collect(readArchive(nodePlatform, chunksOf(bytes, options.size), options))
  const end = events.at(-1)
  if (end?.kind !== 'end') throw new Error('An archive has no end.')
  return {
    end,
    records: events.filter((event) => event.kind === 'record'),
    headers: events.filter((event) => event.kind === 'header').map(({ header }) => header),
    faults: events
      .filter((event) => event.kind === 'fault')
      .map(({ fault }) => `${fault.line} ${fault.code}${fault.fatal ? ' fatal' : ''}`),
  }
}

export const linesOf = (archive: Uint8Array): string[] => Buffer.from(archive).toString('utf8').split('\n').slice(0, -1)
export const joined = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''))
