import type { Avatar } from '../../record/types.ts'
import type { RecordAnswer } from './answers.ts'
import { CliError } from './errors.ts'
import type { NodeClient } from './node-client.ts'

/** More than an avatar that was ever snapshotted has; bounds the time and memory that a node can take from a command. */
const MAX_RECORDS = 500_000
/** Bounds the memory that the records of one avatar can take from a command, in payload characters. */
const MAX_PAYLOAD_CHARACTERS = 512 * 1024 * 1024
/** A store that begins anew more often than this while it is read is broken. */
const MAX_RESTARTS = 3

/**
 * Reads all records of an avatar, page by page in order of arrival, and begins anew where the node's store did.
 *
 * @param begin called at every beginning; what it returns is called with each record, once an id
 * @throws CliError where the node cannot be read or sends more than is bearable
 */
export async function readRecords(
  client: NodeClient,
  avatar: Avatar,
  begin: () => (record: RecordAnswer) => void,
): Promise<void> {
  for (let restarts = 0; restarts <= MAX_RESTARTS; restarts++) {
    if (await readOnce(client, avatar, begin())) return
  }
  throw new CliError('refused', `The node at ${client.url} begins its history anew again and again.`)
}

/** False where the node's store began anew meanwhile. */
async function readOnce(client: NodeClient, avatar: Avatar, take: (record: RecordAnswer) => void): Promise<boolean> {
  const seen = new Set<string>()
  let characters = 0
  let cursor: string | null = null
  do {
    const page = await client.records(avatar, cursor)
    if (page === 'expired') return false
    if (page.records.length === 0) return true
    const known = seen.size
    for (const record of page.records) {
      if (seen.has(record.id)) continue
      seen.add(record.id)
      characters += record.payload.length
      take(record)
    }
    if (seen.size === known)
      throw new CliError('refused', `The node at ${client.url} sends the same records again and again.`)
    if (seen.size > MAX_RECORDS || characters > MAX_PAYLOAD_CHARACTERS) {
      throw new CliError(
        'refused',
        `The node at ${client.url} sends more records of ${avatar} than this command can hold.`,
      )
    }
    cursor = page.cursor
  } while (cursor !== null)
  return true
}
