import type { RecordBody, VerifiedRecord } from '../../record/types.ts'
import type { RecordStatus } from '../../state/state-source.ts'
import { countText, printable, timeText } from './text.ts'

/** Changed keys that a line of text names one by one. */
const MAX_SHOWN_KEYS = 4
/** Changed keys that are kept of one record; it can have 10,000. */
const MAX_KEPT_KEYS = 100

/** A record as `log` lists it. */
export interface LogEntry {
  readonly counter: number
  readonly created_at: number
  readonly type: RecordBody['type']
  /** Of a patch. */
  readonly platform?: string
  readonly identity?: string
  /** Keys that a patch sets and deletes, the first hundred. */
  readonly set?: readonly string[]
  readonly deleted?: readonly string[]
  /** Keys in the patch in total. */
  readonly keys?: number
  /** Of a snapshot or part. */
  readonly namespaces?: number
  readonly parts?: number
  readonly id: string
  readonly status: RecordStatus
}

/** Heads of the columns of `rowOf`. */
export const COLUMNS = ['COUNTER', 'TIME', 'NAMESPACE', 'CHANGES', 'STATUS', 'ID']

export function entryOf({ id, body }: VerifiedRecord, status: RecordStatus): LogEntry {
  const common = { counter: body.counter, created_at: body.created_at, type: body.type }
  if (body.type !== 'patch') {
    const parts = body.type === 'snapshot' ? { parts: body.parts.length } : {}
    return { ...common, namespaces: body.state.length, ...parts, id, status }
  }
  const { patch, platform, identity } = body
  const keys = Object.keys(patch)
  const kept = keys.slice(0, MAX_KEPT_KEYS)
  return {
    ...common,
    platform,
    identity,
    set: kept.filter((key) => patch[key] !== null),
    deleted: kept.filter((key) => patch[key] === null),
    keys: keys.length,
    id,
    status,
  }
}

export function rowOf(entry: LogEntry): string[] {
  const start = [String(entry.counter), timeText(entry.created_at)]
  const end = [printable(entry.status), entry.id]
  if (entry.type !== 'patch') {
    const parts = entry.parts === undefined ? '' : `, ${countText(entry.parts, 'part')}`
    return [...start, entry.type, `${countText(entry.namespaces ?? 0, 'namespace')}${parts}`, ...end]
  }
  const { platform = '', identity = '', set = [], deleted = [], keys = 0 } = entry
  const changes = [...set, ...deleted.map((key) => `-${key}`)].slice(0, MAX_SHOWN_KEYS).map((key) => brief(key))
  if (keys > changes.length) changes.push(`… (${keys})`)
  // The avatar's own namespace has the avatar as its identity, which the reader has just typed.
  const namespace = platform === 'nextid' ? platform : `${platform} ${brief(identity)}`
  return [...start, namespace, changes.join(' '), ...end]
}

function brief(text: string): string {
  const safe = printable(text)
  return safe.length > 40 ? `${safe.slice(0, 39)}…` : safe
}
