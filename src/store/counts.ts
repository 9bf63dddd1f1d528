/** How much is held: of an avatar, or of all. Bytes are those of payloads and signatures. */
import type { Avatar } from '../record/types.ts'
import { addBytes, differenceBytes, LIMBS } from '../negentropy/id-sum.ts'
import type { Database } from './database.ts'
import { walk } from './database.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'

export interface Counts {
  /** Live records. */
  readonly records: number
  readonly bytes: number
  /** All records that are kept: the live ones and history. */
  readonly keptRecords: number
  readonly keptBytes: number
}

export const NOTHING: Counts = { records: 0, bytes: 0, keptRecords: 0, keptBytes: 0 }

/** `a`, and `times` what `b` counts. */
export function plus(a: Counts, b: Counts, times = 1): Counts {
  return {
    records: a.records + times * b.records,
    bytes: a.bytes + times * b.bytes,
    keptRecords: a.keptRecords + times * b.keptRecords,
    keptBytes: a.keptBytes + times * b.keptBytes,
  }
}

/** A set of live records: how many, their bytes, and the sum of their ids modulo 2^256 (see `id-sum.ts`). */
export class LiveSum {
  records = 0
  bytes = 0
  #ids = new Uint32Array(LIMBS)

  /** Sum of the ids, 32 bytes, little-endian. */
  get idSum(): Uint8Array {
    return differenceBytes(this.#ids, new Uint32Array(LIMBS))
  }

  add(id: Uint8Array, bytes: number): this {
    this.records += 1
    this.bytes += bytes
    addBytes(this.#ids, viewOf(id), 0)
    return this
  }

  addAll({ records, bytes, idSum }: { records: number; bytes: number; idSum: Uint8Array }): this {
    this.records += records
    this.bytes += bytes
    addBytes(this.#ids, viewOf(idSum), 0)
    return this
  }

  subtract(other: LiveSum): this {
    this.records -= other.records
    this.bytes -= other.bytes
    const rest = new Uint32Array(LIMBS)
    addBytes(rest, viewOf(differenceBytes(this.#ids, other.#ids)), 0)
    this.#ids = rest
    return this
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Avatars whose summaries are read at once. */
const STEP_AVATARS = 256

/**
 * Goes through all hosted avatars with what their summaries count; undefined where a summary cannot be read, which is
 * mended when somebody asks for it.
 */
export async function* countsOfAll(db: Database): AsyncGenerator<readonly (readonly [Avatar, Counts | undefined])[]> {
  let avatars: Avatar[] = []
  for await (const [key] of walk(db, keys.tableRange('a'), { keysOnly: true })) {
    if (avatars.push(keys.avatarInKey(key)) < STEP_AVATARS) continue
    yield await countsOf(db, avatars)
    avatars = []
  }
  yield await countsOf(db, avatars)
}

async function countsOf(db: Database, avatars: readonly Avatar[]): Promise<[Avatar, Counts | undefined][]> {
  const found = await db.getMany(avatars.map(keys.summaryKey))
  return avatars.map((avatar, at) => {
    const row = found[at]
    const content = row && rows.unseal(keys.summaryKey(avatar), row)
    try {
      return [avatar, content && rows.decodeSummary(content)]
    } catch {
      return [avatar, undefined]
    }
  })
}

/** What all avatars hold together, counted. */
export async function countAll(db: Database): Promise<Counts & { readonly avatars: number }> {
  let avatars = 0
  let counts = NOTHING
  for await (const step of countsOfAll(db)) {
    avatars += step.length
    for (const [, each] of step) if (each !== undefined) counts = plus(counts, each)
  }
  return { avatars, ...counts }
}
