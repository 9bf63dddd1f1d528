import type { AbstractLevel } from 'abstract-level'
import type { BatchOptions } from 'level'
import type { Disk } from './disk.ts'

/** Any database of the `abstract-level` family: `level`, `memory-level`, `browser-level`. */
export type LevelDatabase = AbstractLevel<string | Buffer | Uint8Array, string, string>

const ENCODING = { keyEncoding: 'utf8', valueEncoding: 'view' } as const

/** Rows in a database that is open, or opens by itself. Closing the disk closes it. */
export function levelDisk(db: LevelDatabase): Disk {
  return {
    get: (key) => db.get<string, Uint8Array>(key, ENCODING),
    async *rows({ after, before }) {
      yield* db.iterator<string, Uint8Array>({ gt: after, lt: before, ...ENCODING })
    },
    async batch(operations) {
      // `sync` is LevelDB's: on disk before it is acknowledged. Others take no notice of it.
      const options: BatchOptions<string, Uint8Array> = { sync: true, ...ENCODING }
      await db.batch<string, Uint8Array>([...operations], options)
    },
    close: () => db.close(),
  }
}
