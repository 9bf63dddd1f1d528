/** What nodes answer, checked: nothing is used that has not the shape which docs/protocol.md, "HTTP", gives it. */
import type { Avatar, Citation, JsonObject, JsonValue, RecordId } from '../record/types.ts'
import { MAX_NESTING } from './limits.ts'
import type { AvatarDocument } from './types.ts'

/** One record of a page, nothing of it checked but its shape. */
export interface RecordAnswer {
  readonly payload: string
  readonly signature: string
  readonly id: RecordId
}

export interface RecordsPage {
  readonly records: readonly RecordAnswer[]
  readonly digest: string
  readonly cursor: string | null
}

export interface SubmitAnswer {
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
  if (isTooDeep(text)) throw new TypeError(`it nests deeper than ${MAX_NESTING} levels`)
  return JSON.parse(text) as JsonValue
}

export function parseDocument(value: JsonValue): AvatarDocument {
  const answer = object(value, 'the answer')
  const missing = object(answer['missing'], 'missing')
  return {
    avatar: hex(answer['avatar'], 'avatar', 66) as Avatar,
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

export function parseRecordsPage(value: JsonValue): RecordsPage {
  const answer = object(value, 'the answer')
  return {
    records: list(answer['records'], 'records', (item) => {
      const record = object(item, 'records')
      return {
        payload: text(record['payload'], 'payload'),
        signature: text(record['signature'], 'signature'),
        id: hex(record['id'], 'id', 64),
      }
    }),
    digest: text(answer['digest'], 'digest'),
    cursor: answer['cursor'] === null || answer['cursor'] === undefined ? null : text(answer['cursor'], 'cursor'),
  }
}

export function parseResults(value: JsonValue): SubmitAnswer[] {
  return list(object(value, 'the answer')['results'], 'results', (item) => {
    const { status, code, message, retry } = object(item, 'results')
    return {
      status: text(status, 'status'),
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof message === 'string' ? { message } : {}),
      ...(typeof retry === 'boolean' ? { retry } : {}),
    }
  })
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

/** `{code, message}` of an error, as far as it is there. */
export function parseProblem(body: string): { readonly code: string; readonly message: string } {
  try {
    const { code, message } = object(parseJson(body), 'the answer')
    return { code: text(code, 'code').slice(0, 64), message: text(message, 'message').slice(0, 500) }
  } catch {
    return { code: '', message: 'it gave no reason' }
  }
}

function object(value: JsonValue | undefined, name: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object')
  return value
}

function list<T>(value: JsonValue | undefined, name: string, item: (value: JsonValue) => T): T[] {
  if (!Array.isArray(value)) throw wrong(name, 'a list')
  return value.map(item)
}

function text(value: JsonValue | undefined, name: string): string {
  if (typeof value !== 'string') throw wrong(name, 'a text')
  return value
}

function count(value: JsonValue | undefined, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(name, 'a whole number')
  return value
}

function hex(value: JsonValue | undefined, name: string, digits: number): `0x${string}` {
  if (typeof value !== 'string' || value.length !== digits + 2 || !/^0x[0-9a-f]+$/.test(value)) {
    throw wrong(name, `0x and ${digits} hex digits`)
  }
  return value as `0x${string}`
}

function citation(value: JsonValue | undefined, name: string): Citation {
  const { counter, id } = object(value, name)
  return { counter: count(counter, `${name}.counter`), id: hex(id, `${name}.id`, 64) }
}

function wrong(name: string, expected: string): TypeError {
  return new TypeError(`${name} is not ${expected}`)
}

/** Whether JSON text nests too deeply for those who walk what it is parsed to. */
function isTooDeep(json: string): boolean {
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at)
    if (unit === 0x22) {
      for (at++; at < json.length && json.charCodeAt(at) !== 0x22; at++) if (json.charCodeAt(at) === 0x5c) at++
    } else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > MAX_NESTING) return true
    } else if (unit === 0x7d || unit === 0x5d) depth--
  }
  return false
}
