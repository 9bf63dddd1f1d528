/** The address book on disk, so that a node finds its peers again without a seed. */
import { readFile, rename, stat, writeFile } from 'node:fs/promises'

import type { Logger } from '../observe/types.ts'
import { decodeText } from '../platform/decode-text.ts'
import { codeOf, messageOf } from '../platform/errors.ts'
import { PRIVATE_FILE_MODE } from '../platform/files.ts'
import type { AddressBook, BookEntry } from './address-book.ts'
import { openPeerRecord } from './peer-record.ts'

const FORMAT = 'avatar-kv-peers/1'
/** Most that is read: more than a full book needs. */
const MAX_FILE_BYTES = 4_194_304

/**
 * Reads a book. Every record is verified again. The book is a help, not data: a damaged file is ignored with a warning, and
 * written again later.
 */
export async function loadAddressBook(path: string, book: AddressBook, logger: Logger): Promise<void> {
  let peers: readonly unknown[]
  try {
    const { size } = await stat(path)
    if (size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`)
    const value = JSON.parse(decodeText(await readFile(path))) as { format?: unknown; peers?: unknown } | null
    if (value?.format !== FORMAT || !Array.isArray(value.peers)) throw new Error(`it is not of the format ${FORMAT}`)
    peers = value.peers
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    logger.warn(
      { file: path, reason: messageOf(error) },
      'The file of known peers cannot be read. The node ignores it and writes a new one. It finds peers by --peer, --seed and on the local network.',
    )
    return
  }
  let damaged = 0
  for (const item of peers) if (!(await restore(item, book))) damaged += 1
  if (damaged === 0) return
  logger.warn({ file: path, damaged }, 'The file of known peers has damaged entries. The node ignores those.')
}

/** Saves the entries that worked. Not fsynced: a lost book costs one question to a seed. */
export async function saveAddressBook(
  path: string,
  book: AddressBook,
  isAnchor: (entry: BookEntry) => boolean,
): Promise<void> {
  const peers = book
    .entries()
    .filter(({ workedAtMs }) => workedAtMs > 0)
    .map((entry) => ({
      peer_id: entry.signed.peer.toString(),
      record: Buffer.from(entry.signed.bytes).toString('base64'),
      address: entry.address?.toString(),
      teller: entry.teller,
      worked_at: Math.floor(entry.workedAtMs / 1000),
      failures: entry.failures,
      anchor: isAnchor(entry),
    }))
  await writeFile(`${path}.new`, `${JSON.stringify({ format: FORMAT, peers })}\n`, { mode: PRIVATE_FILE_MODE })
  await rename(`${path}.new`, path)
}

async function restore(item: unknown, book: AddressBook): Promise<boolean> {
  if (typeof item !== 'object' || item === null) return false
  const { record, address, teller, worked_at: workedAt, failures, anchor } = item as Readonly<Record<string, unknown>>
  if (typeof record !== 'string' || typeof teller !== 'string') return false
  if (!isCount(workedAt) || !isCount(failures)) return false
  try {
    const signed = await openPeerRecord(Uint8Array.from(Buffer.from(record, 'base64')))
    const worked = signed.addresses.find((each) => each.toString() === address)
    if (worked === undefined) return false
    const saved = { teller, workedAtMs: workedAt * 1000, failures, isAnchor: anchor === true, address: worked }
    book.restore(signed, saved)
    return true
  } catch {
    return false
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
