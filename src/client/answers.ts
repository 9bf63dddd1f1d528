/** What nodes answer, checked: nothing is used that has not the shape which docs/protocol.md, "HTTP", gives it. */
import type { JsonObject, JsonValue, RecordId } from '../record/types.ts'
import { MAX_CURSOR_CHARACTERS, MAX_HOMES, MAX_NESTING } from './limits.ts'
import { citation, count, hex, list, nestingOf, object, optional, text } from './shapes.ts'
import type { AvatarDocument } from './types.ts'

/** One record of a page, nothing of it checked but its shape. */
export interface RecordAnswer {
  readonly payload: string
  readonly signature: string
  readonly id: RecordId
}

export interface RecordsPage<T = RecordAnswer> {
  readonly records: readonly T[]
  readonly digest: string
  readonly cursor: string | null
}

export interface SubmitAnswer {
  /** Absent where the node could not read the record. */
  readonly id?: RecordId
  readonly status: string
  readonly code?: string
  readonly message?: string
  readonly retry?: boolean
}

/** What a receipt says, as far as it tells whom to read first. */
export interface ClaimAnswer {
  readonly network: string
  readonly head: number
  readonly digest: string
}

/** One event of a stream. */
export interface EventAnswer {
  readonly avatar: string
  readonly id: RecordId
  readonly counter: number
  readonly digest: string
}

/** @throws SyntaxError, TypeError */
export function parseJson(text: string): JsonValue {
  if (nestingOf(text) > MAX_NESTING) throw new TypeError(`it is nested deeper than ${MAX_NESTING} levels`)
  return JSON.parse(text) as JsonValue
}

export function parseDocument(value: JsonValue): AvatarDocument {
  const answer = object(value, 'the answer')
  const missing = object(answer['missing'], 'missing')
  return {
    avatar: hex(answer['avatar'], 'avatar', 66),
    network: text(answer['network'], 'network'),
    head: count(answer['head'], 'head'),
    tips: list(answer['tips'], 'tips', (tip) => citation(tip, 'tips')),
    tips_total: count(answer['tips_total'], 'tips_total'),
    base: answer['base'] === null ? null : citation(answer['base'], 'base'),
    digest: text(answer['digest'], 'digest'),
    pending: count(answer['pending'], 'pending'),
    missing: {
      total: count(missing['total'], 'missing.total'),
      ids: list(missing['ids'], 'missing.ids', (id) => hex(id, 'missing.ids', 64)),
    },
    namespaces: list(answer['namespaces'], 'namespaces', (item) => {
      const entry = object(item, 'namespaces')
      return {
        content: object(entry['content'], 'content'),
        identity: text(entry['identity'], 'identity'),
        platform: text(entry['platform'], 'platform'),
      }
    }),
  }
}

export function parseContent(value: JsonValue): JsonObject {
  return object(value, 'the content')
}

export function parseRecord(value: JsonValue): RecordAnswer {
  const { payload, signature, id } = object(value, 'records')
  return { payload: text(payload, 'payload'), signature: text(signature, 'signature'), id: hex(id, 'id', 64) }
}

/** Half of a pair alone goes into no address. */
export const LONE_SURROGATE = /\p{Surrogate}/u

function cursorText(value: JsonValue): string {
  const cursor = text(value, 'cursor')
  if (cursor.length > MAX_CURSOR_CHARACTERS || LONE_SURROGATE.test(cursor)) throw new TypeError('cursor is none')
  return cursor
}

/** @param item reads one record */
export function parsePage<T>(value: JsonValue, item: (value: JsonValue) => T): RecordsPage<T> {
  const answer = object(value, 'the answer')
  return {
    records: list(answer['records'], 'records', item),
    digest: text(answer['digest'], 'digest'),
    cursor: optional(answer['cursor'], cursorText),
  }
}

export function parseResult(value: JsonValue): SubmitAnswer {
  const { id, status, code, message, retry } = object(value, 'results')
  return {
    ...(id === undefined || id === null ? {} : { id: hex(id, 'id', 64) }),
    status: text(status, 'status'),
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof message === 'string' ? { message } : {}),
    ...(typeof retry === 'boolean' ? { retry } : {}),
  }
}

/** @param item reads one result */
export function parseResults<T>(value: JsonValue, item: (value: JsonValue) => T): T[] {
  return list(object(value, 'the answer')['results'], 'results', item)
}

export function parseClaim(value: JsonValue): ClaimAnswer {
  const { network, head, digest } = object(value, 'the receipt')
  return { network: text(network, 'network'), head: count(head, 'head'), digest: text(digest, 'digest') }
}

export function parseEvent(value: JsonValue): EventAnswer {
  const { avatar, id, counter, digest } = object(value, 'the event')
  return {
    avatar: text(avatar, 'avatar'),
    id: hex(id, 'id', 64),
    counter: count(counter, 'counter'),
    digest: text(digest, 'digest'),
  }
}

/** What an error answer says, as far as it does. */
export function parseProblem(body: string): {
  readonly code: string
  readonly message: string
  readonly homes: readonly string[]
} {
  try {
    const { code, message, homes } = object(parseJson(body), 'the answer')
    return {
      code: text(code, 'code').slice(0, 64),
      message: text(message, 'message').slice(0, 500),
      homes: Array.isArray(homes) ? homes.filter((home) => typeof home === 'string').slice(0, MAX_HOMES) : [],
    }
  } catch {
    return { code: '', message: 'it gave no reason', homes: [] }
  }
}
