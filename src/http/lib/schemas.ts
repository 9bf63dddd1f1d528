import Type from 'typebox'
import type { TProperties, TSchema, TSchemaOptions } from 'typebox'

import type { JsonObject } from '../../record/types.ts'
import { PAGE_DEFAULT, PAGE_MAX } from './limits.ts'

const ErrorSchema = Type.Object(
  {
    code: Type.String({ description: 'For programs; one of a closed set.' }),
    message: Type.String({ description: 'For people: what is wrong and what to do.' }),
  },
  { title: 'Error' },
)

/** Errors of every call: an address may have as many open requests as its share allows, and any node can be busy. */
const ALWAYS = [429, 503]

/** Returns the answers of a call for the API description, errors of every call included. */
export function responses(success: Record<string, TSchema>, errors: readonly number[] = []): Record<string, TSchema> {
  const failures = [...new Set([...errors, ...ALWAYS])].map((status) => [
    String(status),
    { ...ErrorSchema, description: REASONS[status] ?? 'Error' },
  ])
  return { ...success, ...Object.fromEntries(failures) }
}

/** An answer, or a body, that is not JSON: a text of some media types. */
export function textOf(types: readonly string[], description: string): TSchema {
  const content = Object.fromEntries(types.map((type) => [type, { schema: { type: 'string', description } }]))
  return Type.Unsafe<string>({ description, content })
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'The request is not valid; nothing was changed.',
  401: 'Only the operator of the node may do this: send the operator token.',
  403: 'The policy of the node forbids this.',
  404: 'This node does not have it.',
  409: 'A snapshot replaced the records that the write cites; request a new payload and sign it.',
  410: 'The cursor belongs to an earlier store; start again without a cursor.',
  413: 'The body, or the answer, is too large.',
  429: 'Too much from one address; `Retry-After` says when to try again.',
  503: 'The node is busy, refuses this for now, or cannot use its store; `Retry-After` says when to try again.',
}

export function object<P extends TProperties>(properties: P, title?: string) {
  return Type.Object(properties, title === undefined ? {} : { title })
}

/** A value of a schema, or null. */
export function nullable<S extends TSchema>(schema: S, options: TSchemaOptions = {}) {
  return Type.Union([schema, Type.Null()], options)
}

export const Count = Type.Integer({ minimum: 0 })

/** Entries on a page. */
export const PageLimit = Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT }))

export const AvatarText = Type.String({
  minLength: 1,
  maxLength: 132,
  description:
    'A secp256k1 public key in hexadecimal: compressed or uncompressed, with or without `0x`, in any case. ' +
    'Answers show `0x` and the compressed form.',
})

export const AnyJsonObject = Type.Unsafe<JsonObject>(
  Type.Object(
    {},
    { additionalProperties: true, description: 'A JSON object.', examples: [{ c: 'Hello', a: { b: [2, 3] } }] },
  ),
)

export const RecordIdText = Type.String({
  pattern: '^0x[0-9a-f]{64}$',
  description: 'The digest that was signed. It identifies the record on every node.',
})

export const CitationSchema = object({ counter: Type.Integer(), id: RecordIdText }, 'Citation')

export const PlatformText = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'For example `twitter`, or `nextid`.',
})

/** At most 256 UTF-8 bytes; the schema limits characters, `record/` checks the bytes. */
export const IdentityText = Type.String({
  minLength: 1,
  maxLength: 256,
  description: 'The account on the platform, stored as given. Under `nextid`: the avatar, in any form.',
})
