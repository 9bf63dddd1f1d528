import type { JsonSnapshot } from '../../store/types.ts'
import { BY_IDENTITY_BYTES, BY_IDENTITY_VALUES } from '../lib/limits.ts'
import type { RouteParts } from '../lib/parts.ts'

/** A content up to this size is buffered; a larger one is read twice, first to measure it. */
const BUFFERED_BYTES = 64 * 1024

/** Yields the answer of `GET /v1/kv/by_identity` as JSON text. Ends before the first content that would exceed its limit. */
export async function* claimedValues(
  { store, names }: RouteParts,
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
      // The first content is always shown, since the answer would be empty without it.
      const room = count === 0 ? Infinity : BY_IDENTITY_BYTES - bytes
      const measured = await measure(content, room)
      if (measured === undefined) break
      yield Buffer.from(`${count === 0 ? '' : ','}{"avatar":${JSON.stringify(names.uncompressed(avatar))},"content":`)
      if (measured.buffered === undefined) yield* content.read()
      else yield* measured.buffered
      yield Buffer.from('}')
      count += 1
      bytes += measured.bytes
    } finally {
      await content.close()
    }
  }
  yield Buffer.from(']}')
}

/** Returns the size of a text, and the text itself if it is small; undefined for a text of more than `most` bytes. */
async function measure(
  content: JsonSnapshot,
  most: number,
): Promise<{ readonly bytes: number; readonly buffered: readonly Uint8Array[] | undefined } | undefined> {
  const buffered: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of content.read()) {
    bytes += chunk.length
    if (bytes > most) return undefined
    if (bytes <= BUFFERED_BYTES) buffered.push(chunk)
    else buffered.length = 0
  }
  return { bytes, buffered: bytes <= BUFFERED_BYTES ? buffered : undefined }
}
