/**
 * Stores signed changes in localStorage, each under its own key, so that pages that are open at the same time do not overwrite each
 * other's changes. Hosts below different paths of one address share the storage; each has its own keys. Changes of version 0.1 have
 * the same form.
 */
import { attempt } from './attempt.ts'
import { pathHere } from './here.ts'
import { citationsOf, type OutboxEntry, type SignedChange } from './outbox-entry.ts'

/** The id of the change that is stored under a key; undefined if the key is not of this outbox. */
export function idOfKey(key: string): string | undefined {
  const start = keyOf('')
  const id = key.startsWith(start) ? key.slice(start.length) : ''
  return id.startsWith('0x') ? id : undefined
}

function keyOf(id: string): string {
  const path = pathHere()
  return `avatar-kv.outbox.${path === '/' ? '' : path}${id}`
}

/** All changes for a network, in no order. */
export function readAll(network: string): OutboxEntry[] {
  // A browser may deny storage: then changes are only in the memory of the page.
  const keys = attempt(() => Object.keys(localStorage)) ?? []
  return keys.flatMap((key) => {
    const id = idOfKey(key)
    return (id === undefined ? undefined : readOne(id, network)) ?? []
  })
}

/** Undefined if there is none, or if it cannot be read. */
export function readOne(id: string, network: string): OutboxEntry | undefined {
  return attempt(() => {
    const value: unknown = JSON.parse(localStorage.getItem(keyOf(id)) ?? '')
    return isWaiting(value) && value.id === id && value.network === network ? { ...value, isOnDisk: true } : undefined
  })
}

/** Writes a change to disk. If there is no room, the version that is on disk stays there. */
export function writeOne(record: OutboxEntry): OutboxEntry {
  try {
    localStorage.setItem(keyOf(record.id), JSON.stringify({ ...record, isOnDisk: undefined }))
    return { ...record, isOnDisk: true }
  } catch {
    return record
  }
}

export function removeOne(id: string): void {
  attempt(() => localStorage.removeItem(keyOf(id)))
}

/** @throws SyntaxError, TypeError if the payload of the change is no JSON object */
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
