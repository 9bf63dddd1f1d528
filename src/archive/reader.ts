/**
 * Reading archives from anyone.
 *
 * Guarantees: memory is bounded for any input (one line, one step of decompression). Every line that is not a sound record is
 * reported with its number. Damage to one line, to the header or to the trailer costs no other line. Input without records ends
 * early. Not guaranteed: that a record is genuine; the caller verifies it.
 */
import { concatBytes } from '@noble/hashes/utils.js'
import { ArchiveError } from './errors.ts'
import { LineJudge } from './line-judge.ts'
import { LineCutter } from './lines.ts'
import type { ArchiveEvent, ArchivePlatform, ReadOptions } from './types.ts'

/**
 * Reads an archive, compressed or not (its first bytes tell).
 *
 * @param chunks bytes in pieces of any size; they must not change afterwards
 * @throws only what `chunks` throws
 */
export async function* readArchive(
  platform: Pick<ArchivePlatform, 'hasher' | 'gunzip'>,
  chunks: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<ArchiveEvent, void, undefined> {
  const cutter = new LineCutter()
  const judge = new LineJudge(platform.hasher(), options)
  const { isCompressed, whole } = await peek(chunks)
  let bytes = 0
  let damage: ArchiveError | undefined
  try {
    for await (const chunk of isCompressed ? platform.gunzip(whole) : whole) {
      bytes += chunk.length
      for (const line of cutter.push(chunk)) {
        yield* judge.take(line)
        if (judge.stopped) break
      }
      if (judge.stopped) break
    }
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error
    damage = error
  }
  if (!judge.stopped) for (const line of cutter.end()) yield* judge.take(line)
  if (damage !== undefined) yield judge.fatal(damage.code, damage.message, cutter.number)
  yield* judge.end(cutter.number)
  yield { kind: 'end', ...judge.totals, bytes, compressed: isCompressed }
}

/** Whether the chunks are compressed with gzip (RFC 1952, section 2.3.1), and the same chunks. */
async function peek(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ isCompressed: boolean; whole: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]()
  let start: Uint8Array = new Uint8Array(0)
  let isOver = false
  while (start.length < 2 && !isOver) {
    const next = await iterator.next()
    if (next.done === true) isOver = true
    else start = start.length === 0 ? next.value : concatBytes(start, next.value)
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      if (start.length > 0) yield start
      while (!isOver) {
        const next = await iterator.next()
        if (next.done === true) isOver = true
        else yield next.value
      }
    } finally {
      if (!isOver) await iterator.return?.()
    }
  }
  return { isCompressed: start[0] === 0x1f && start[1] === 0x8b, whole: whole() }
}
