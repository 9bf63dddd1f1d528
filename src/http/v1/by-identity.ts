import type { JsonMoment, StoreReader } from '../../store/types.ts'
import type { AvatarNames } from '../lib/avatar-names.ts'
import { BY_IDENTITY_BYTES, BY_IDENTITY_VALUES } from '../lib/limits.ts'

/** A content up to this size is read once and kept; a larger one is read twice, first to know its size. */
const KEPT_BYTES = 64 * 1024

interface Components {
  readonly store: Pick<StoreReader, 'claims' | 'openContent'>
  readonly names: Pick<AvatarNames, 'uncompressed'>
}

/** The answer of `GET /v1/kv/by_identity` as JSON text. It ends at the first content beyond the bound, which is not read on. */
export async function* claimedValues(
  { store, names }: Components,
  platform: string,
  identity: string,
): AsyncGenerator<Uint8Array> {
  let count = 0
  let bytes = 0
  yield Buffer.from('{"values":[')
  for (const avatar of await store.claims(platform, identity, { limit: BY_IDENTITY_VALUES })) {
    const content = await store.openContent(avatar, platform, identity)
    if (content === undefined) continue
    try {
      // The first is shown whatever its size is: the answer would be empty.
      const room = count === 0 ? Infinity : BY_IDENTITY_BYTES - bytes
      const measured = await measure(content, room)
      if (measured === undefined) break
      yield Buffer.from(`${count === 0 ? '' : ','}{"avatar":${JSON.stringify(names.uncompressed(avatar))},"content":`)
      if (measured.kept === undefined) yield* content.read()
      else yield* measured.kept
      yield Buffer.from('}')
      count += 1
      bytes += measured.bytes
    } finally {
      await content.close()
    }
  }
  yield Buffer.from(']}')
}

/** The size of a text, and a small text itself; undefined for one that is larger than `most` bytes. */
async function measure(
  content: JsonMoment,
  most: number,
): Promise<{ readonly bytes: number; readonly kept: readonly Uint8Array[] | undefined } | undefined> {
  const kept: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of content.read()) {
    bytes += chunk.length
    if (bytes > most) return undefined
    if (bytes <= KEPT_BYTES) kept.push(chunk)
    else kept.length = 0
  }
  return { bytes, kept: bytes <= KEPT_BYTES ? kept : undefined }
}
