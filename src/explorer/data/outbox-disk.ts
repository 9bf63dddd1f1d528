/**
 * Where the browser stores signed records: each under its own key, so that pages that are open at once do not overwrite each
 * other's records. Hosts below different paths of one address share the browser's storage; each uses its own keys.
 */
import { pathHere } from './here.ts'
import { citationsOf, type OutboxEntry, type SignedChange } from './outbox-entry.ts'

/** The id of the record that a key of the storage is for; undefined where the key is somebody else's. */
export function idOfKey(key: string): string | undefined {
  const start = keyOf('')
  const id = key.startsWith(start) ? key.slice(start.length) : ''
  return id.startsWith('0x') ? id : undefined
}

function keyOf(id: string): string {
  const path = pathHere()
  return `avatar-kv.outbox.${path === '/' ? '' : path}${id}`
}

/** All that is kept for a network, in no order. */
export function readAll(network: string): OutboxEntry[] {
  let keys: string[] = []
  try {
    keys = Object.keys(localStorage)
  } catch {
    // No storage here: what waits lasts as long as the page.
  }
  return keys.flatMap((key) => {
    const id = idOfKey(key)
    const record = id === undefined ? undefined : readOne(id, network)
    return record === undefined ? [] : [record]
  })
}

/** Undefined where there is none, or what is there cannot be read. */
export function readOne(id: string, network: string): OutboxEntry | undefined {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(keyOf(id)) ?? '')
    return isWaiting(value) && value.id === id && value.network === network ? { ...value, isOnDisk: true } : undefined
  } catch {
    return undefined
  }
}

/** Writes it to disk. Where that has no room, what it held of this record before stays there. */
export function writeOne(record: OutboxEntry): OutboxEntry {
  try {
    localStorage.setItem(keyOf(record.id), JSON.stringify({ ...record, isOnDisk: undefined }))
    return { ...record, isOnDisk: true }
  } catch {
    return record
  }
}

export function removeOne(id: string): void {
  try {
    localStorage.removeItem(keyOf(id))
  } catch {
    // It was never there.
  }
}

/** @throws SyntaxError, TypeError where its payload is none */
function isWaiting(value: unknown): value is SignedChange & Pick<OutboxEntry, 'verdict'> {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Record<string, unknown>
  return (
    ['payload', 'signature', 'id', 'avatar', 'network'].every((key) => typeof record[key] === 'string') &&
    Number.isSafeInteger(record['counter']) &&
    (record['verdict'] === undefined || isVerdict(record['verdict'])) &&
    citationsOf({ payload: String(record['payload']) }).every(({ id }) => typeof id === 'string')
  )
}

function isVerdict(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'status' in value && typeof value.status === 'string'
}
