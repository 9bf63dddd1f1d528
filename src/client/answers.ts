/** What nodes answer, checked: nothing is used that has not the shape which docs/protocol.md, "HTTP", gives it. */
import type { JsonValue, RecordId } from '../record/types.ts'
import { MAX_CURSOR_CHARACTERS, MAX_HOMES, MAX_NESTING } from './limits.ts'
import { avatarHex, citation, count, fields, idHex, list, nestingOf, object, optional, text } from './shapes.ts'
import type { AvatarDocument } from './types.ts'

export interface SubmitAnswer {
  /** Absent where the node could not read the record. */
  readonly id?: RecordId
  readonly status: string
  readonly code?: string
  readonly message?: string
  readonly retry?: boolean
}

/** @throws SyntaxError, TypeError */
export function parseJson(text: string): JsonValue {
  if (nestingOf(text) > MAX_NESTING) throw new TypeError(`it is nested deeper than ${MAX_NESTING} levels`)
  return JSON.parse(text) as JsonValue
}

const parseOwnDocument = fields({
  avatar: avatarHex,
  network: text,
  head: count,
  tips: list(citation),
  tips_total: count,
  base: optional(citation),
  digest: text,
  pending: count,
  missing: fields({ total: count, ids: list(idHex) }),
  namespaces: list(fields({ content: object, identity: text, platform: text })),
})

/** Links beside the document, where the node was asked for the linked view and knows it. */
const parseLinks = fields({
  linked_digest: text,
  links: list(fields({ key: text, avatar: avatarHex, label: optional(text), digest: optional(text) })),
})

export function parseDocument(value: JsonValue | undefined, name?: string): AvatarDocument {
  const document = parseOwnDocument(value, name)
  return object(value)['linked_digest'] === undefined ? document : { ...document, ...parseLinks(value) }
}

/** Half of a pair alone goes into no address. */
export const LONE_SURROGATE = /\p{Surrogate}/u

function cursorText(value: JsonValue | undefined, name?: string): string {
  const cursor = text(value, name)
  if (cursor.length > MAX_CURSOR_CHARACTERS || LONE_SURROGATE.test(cursor)) throw new TypeError('cursor is none')
  return cursor
}

/** One record of a page: only its shape is checked. Not by `fields`, because pages have many records. */
export type RecordAnswer = ReturnType<typeof parseRecord>
function parseRecord(value: JsonValue | undefined) {
  const { payload, signature, id } = object(value, 'records')
  return { payload: text(payload, 'payload'), signature: text(signature, 'signature'), id: idHex(id, 'id') }
}

export type RecordsPage = ReturnType<typeof parsePage>
export const parsePage = fields({ records: list(parseRecord), digest: text, cursor: optional(cursorText) })

function parseResult(value: JsonValue | undefined, name?: string): SubmitAnswer {
  const { id, status, code, message, retry } = object(value, name)
  return {
    ...(id === undefined || id === null ? {} : { id: idHex(id, 'id') }),
    status: text(status, 'status'),
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof message === 'string' ? { message } : {}),
    ...(typeof retry === 'boolean' ? { retry } : {}),
  }
}

export const parseResults = fields({ results: list(parseResult) })

/** What a receipt says, as far as it tells whom to read first. */
export type ClaimAnswer = ReturnType<typeof parseClaim>
export const parseClaim = fields({ network: text, head: count, digest: text })

/** One event of a stream. */
export const parseEvent = fields({ avatar: text, id: idHex, counter: count, digest: text })

/** What an error answer says, as far as it does. */
export function parseProblem(body: string): {
  readonly code: string
  readonly message: string
  readonly homes: readonly string[]
} {
  try {
    const { code, message, homes } = object(parseJson(body))
    return {
      code: text(code, 'code').slice(0, 64),
      message: text(message, 'message').slice(0, 500),
      homes: Array.isArray(homes) ? homes.filter((home) => typeof home === 'string').slice(0, MAX_HOMES) : [],
    }
  } catch {
    return { code: '', message: 'it gave no reason', homes: [] }
  }
}
