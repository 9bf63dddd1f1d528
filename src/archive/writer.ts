/** Writing archives, as streams in bounded memory. */
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Avatar } from '../record/types.ts'
import {
  headerLine,
  MAX_NAMED_AVATARS,
  recordLine,
  trailerLine,
  type ArchiveHeader,
  type ArchiveSource,
} from './format.ts'
import type { ArchivePlatform } from './types.ts'

/** Lines are handed on in blocks of about this size: fewer, larger pieces cost less. */
const BLOCK_CHARACTERS = 65_536

export interface WriteOptions {
  readonly network: string
  /** Unix seconds. */
  readonly createdAt: number
  /** Only these avatars; the header names each once, in ascending order. Default: all. */
  readonly avatars?: readonly Avatar[]
  /** Whether to include the superseded records that are stored. */
  readonly history: boolean
  /** Called with the records written so far, once a block. */
  readonly onProgress?: (records: number) => void
}

/** The header of an archive with these options. */
export function headerOf({ network, createdAt, avatars }: WriteOptions): ArchiveHeader {
  if (avatars === undefined) return { created_at: createdAt, network }
  if (avatars.length > MAX_NAMED_AVATARS) throw new RangeError(`An archive names at most ${MAX_NAMED_AVATARS} avatars.`)
  return { created_at: createdAt, network, avatars: [...new Set(avatars)].sort() }
}

/**
 * The bytes of an archive. If the source fails, the error is thrown, and what was written has no trailer.
 *
 * @param source one moment of a store; the caller closes it
 */
export async function* writeArchive(
  platform: Pick<ArchivePlatform, 'hasher'>,
  source: ArchiveSource,
  options: WriteOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const header = headerOf(options)
  const hasher = platform.hasher()
  const encoder = new TextEncoder()
  let text = headerLine(header)
  let records = 0
  const block = (): Uint8Array => {
    const bytes = encoder.encode(text)
    text = ''
    hasher.update(bytes)
    options.onProgress?.(records)
    return bytes
  }
  for await (const avatar of header.avatars ?? source.avatars()) {
    for await (const record of source.records(avatar, { history: options.history })) {
      text += recordLine(record)
      records += 1
      if (text.length >= BLOCK_CHARACTERS) yield block()
    }
  }
  if (text !== '') yield block()
  yield encoder.encode(trailerLine({ digest: bytesToHex(hasher.digest()), records }))
}
