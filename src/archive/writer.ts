/** Writing archives, as streams in bounded memory. */
import { createHash } from 'node:crypto'

import type { Avatar } from '../record/types.ts'
import { headerLine, MAX_NAMED_AVATARS, recordLine, trailerLine } from './format.ts'
import type { ArchiveHeader, ArchiveSource } from './format.ts'

/** Lines are handed on in blocks of about this: fewer, larger pieces cost less on the way. */
const BLOCK_CHARACTERS = 65_536

export interface WriteOptions {
  readonly network: string
  /** Unix seconds. */
  readonly createdAt: number
  /** These alone, and the header names them, without repetition and in ascending order. Default: all. */
  readonly avatars?: readonly Avatar[]
  /** Whether superseded records go along, as far as they are kept. */
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
 * The bytes of an archive. Where the source fails, so does it, and what was written has no trailer.
 *
 * @param source one moment of a store; closing it is its owner's
 */
export async function* writeArchive(source: ArchiveSource, options: WriteOptions): AsyncGenerator<Uint8Array> {
  const header = headerOf(options)
  const hash = createHash('sha256')
  let text = headerLine(header)
  let records = 0
  const block = (): Uint8Array => {
    const bytes = Buffer.from(text, 'utf8')
    text = ''
    hash.update(bytes)
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
  yield Buffer.from(trailerLine({ digest: hash.digest('hex'), records }), 'utf8')
}
