/** LevelDB's write batches, the records of NNN.log. */
import { attempt } from '../bytes.ts'
import { ByteCursor } from './byte-cursor.ts'

const [DELETION, VALUE] = [0, 1] as const

export interface WriteBatch {
  /** LevelDB's sequence of the first row; each further row has the next one. Unrelated to the store's own sequence. */
  readonly sequence: number
  readonly count: number
  /** The rows without deletions. */
  readonly puts: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
}

/** Decodes the batch in a log record; undefined if the record is malformed. */
export function decodeBatch(record: Uint8Array): WriteBatch | undefined {
  const cursor = new ByteCursor(record)
  return attempt(() => {
    const [sequence, count] = [cursor.u64(), cursor.u32()]
    const puts: [Uint8Array, Uint8Array][] = []
    let found = 0
    for (; cursor.remaining > 0; found += 1) {
      const type = cursor.u8()
      if (type !== VALUE && type !== DELETION) return undefined
      const key = cursor.prefixed()
      if (type === VALUE) puts.push([key, cursor.prefixed()])
    }
    return found === count ? { sequence, count, puts } : undefined
  })
}
