import type { JsonObject, JsonValue } from '../../record/types.ts'

/** The avatar, record and digest of the first example of docs/protocol.md, so that a reader can check them. */
const AVATAR = '0x02125f1d96b192e47cea6fd392981b15acf131918f4c53f9ec74783539c9409212'
const RECORD_ID = '0xe633d2453566df046b554a727fe4786f9cc3016d5832a182e82f707dc01f3a06'
const DIGEST = 'eeff8e4ae7b0d945b88d571fbd937a810ffa990b088e086fe253e698ca59e041'
const UUID = '25cbb06c-e534-4f14-8740-785079ddc69c'
const SIGNATURE =
  '0x59b153d0c3c53afe04012ddbc7d73719885851ff0db9be7e5a465e56b4f53439' +
  '3251d591b6a77ddc950c727e50ffe0e72999cec74628a0a18b958f621918ccd8'
const CREATED_AT = 1_790_000_000
const PATCH = { a: { b: [2, 3, 4, 'test'] }, c: 'Hello' }
const PAYLOAD = JSON.stringify({
  ...{ avatar: AVATAR, counter: 1, created_at: CREATED_AT, identity: AVATAR, network: 'main', patch: PATCH },
  ...{ platform: 'nextid', prev: [], type: 'patch', uuid: UUID, version: '2' },
})
const PEER_ID = '12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB'
const CURSOR = '3f9c0a1b2d4e5f60-128'

/** Values of parameters and members by name, where the schema has no example of its own. */
const BY_NAME: Readonly<Record<string, JsonValue>> = {
  action: 'add',
  addresses: ['/dns4/node.example.org/tcp/4382'],
  after: CURSOR,
  agent: 'avatar-kv/0.1.0',
  asked_at: CREATED_AT,
  at: '/c',
  avatar: AVATAR,
  codes: ['c0de-c0de-c0de'],
  connected_at: CREATED_AT,
  contact: 'https://example.org/contact',
  content: PATCH,
  count: 1,
  counter: 1,
  created_at: CREATED_AT,
  cursor: CURSOR,
  digest: DIGEST,
  found_at: CREATED_AT,
  from: 'https://old.example.org',
  head: 1,
  homes: ['https://node.example.org'],
  id: RECORD_ID,
  identity: AVATAR,
  keys: ['com.example.app'],
  name: 'Example community',
  network: 'main',
  patch: PATCH,
  path: '/c',
  payload: PAYLOAD,
  peer_id: PEER_ID,
  persona: AVATAR,
  platform: 'nextid',
  policy: 'open',
  records: 1,
  public_url: 'https://node.example.org',
  sign_payload: PAYLOAD,
  signature: SIGNATURE,
  statement: `{"action":"host","avatar":"${AVATAR}"}`,
  time: CREATED_AT,
  tips_total: 1,
  urls: ['https://node.example.org'],
  uuid: UUID,
  version: '0.1.0',
}

/** Returns a value of a JSON schema, for people; `name` is that of the member or parameter. */
export function exampleOf(schema: JsonObject, name = ''): JsonValue {
  const { examples, default: preset, enum: choices, anyOf, const: only } = schema
  if (Array.isArray(examples) && examples[0] !== undefined) return examples[0]
  if (only !== undefined) return only
  if (Array.isArray(choices) && choices[0] !== undefined) return choices[0]
  const named = Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined
  if (Array.isArray(anyOf)) {
    const first = anyOf.filter(isObject).find(({ type }) => type !== 'null') ?? {}
    return exampleOf(first, name)
  }
  if (named !== undefined && isOfType(named, schema['type'])) return named
  if (preset !== undefined) return preset
  switch (schema['type']) {
    case 'array':
      return isObject(schema['items']) ? [exampleOf(schema['items'], singular(name))] : []
    case 'boolean':
      return false
    case 'integer':
    case 'number':
      return typeof schema['minimum'] === 'number' ? schema['minimum'] : 0
    case 'object':
      return exampleOfObject(schema)
    case 'string':
      return 'text'
    default:
      return {}
  }
}

/** Only what the schema requires: a request then works as shown, and an answer has at least that. */
function exampleOfObject({ properties, required }: JsonObject): JsonObject {
  if (!isObject(properties)) return {}
  const names = Array.isArray(required) ? required : []
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, schema]) =>
      names.includes(name) && isObject(schema) ? [[name, exampleOf(schema, name)]] : [],
    ),
  )
}

/** `avatars` is a list of `avatar`. */
function singular(name: string): string {
  return name.replace(/s$/, '')
}

function isOfType(value: JsonValue, type: JsonValue | undefined): boolean {
  switch (type) {
    case 'integer':
    case 'number':
      return typeof value === 'number'
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    case undefined:
      return true
    default:
      return typeof value === type
  }
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
