import Type from 'typebox'

import { readVerifiedPayload } from '../../record/payload.ts'
import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar, RecordBody, RecordId } from '../../record/types.ts'
import type { NamespaceName } from '../../state/content.ts'
import { layerDecides, traceCell, type Provenance, type Trace } from '../../state/provenance.ts'
import { formatPointer, parsePointer } from '../../record/json-pointer.ts'
import type { StoreReader } from '../../store/types.ts'
import { HttpError, unknownNamespace } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { nullable, object, RecordIdText, responses } from '../lib/schemas.ts'
import { AvatarParams, LinkedNamespaceQuery, LinkedQuery, NamespaceParams } from './schemas.ts'

/** How many parts of a base, from the last one back, are searched for one answer. A base can have 3,500 parts of 256 KiB. */
const PARTS_SEARCHED = 64
/** Attempts: a new base can delete a record between the read of a member and the read of the record that it names. */
const MAX_TRIES = 3

const path = Type.String({ minLength: 1, maxLength: 8192, description: 'JSON Pointer (RFC 6901), such as `/a/b`.' })
const ProvenanceQuery = object({ ...LinkedQuery.properties, path })
const NamedProvenanceQuery = object({ ...LinkedNamespaceQuery.properties, path })

const ProvenanceAnswer = object(
  {
    avatar: Type.String(),
    platform: Type.String(),
    identity: Type.String(),
    path: Type.String(),
    kind: Type.Enum(['set', 'removed', 'unset']),
    at: nullable(Type.String({ description: 'Where the record wrote: the path, or a path above it.' })),
    id: nullable(RecordIdText),
    counter: nullable(Type.Integer()),
    created_at: nullable(Type.Integer({ description: 'Unix seconds, as claimed by the author.' })),
    by: nullable(Type.Enum(['patch', 'snapshot', 'part'])),
  },
  'Provenance',
)

type Store = Pick<StoreReader, 'member' | 'record' | 'links'>

/** Calls that tell which record set or removed a value (docs/protocol.md, "Provenance"). */
export function addProvenanceRoutes(app: HttpApp, { store, names }: RouteParts): void {
  const schema = {
    tags: ['Reading'],
    summary: 'Which record set or removed a value',
    response: responses({ 200: ProvenanceAnswer }, [400, 404]),
  }
  async function find(text: string, named: NamespaceName, { path, linked }: Query): Promise<Provenance> {
    const avatar = names.parse(text)
    const name = names.namespace(named)
    const writer = linked === 'true' ? await writerOf(store, avatar, name, path) : undefined
    if (writer === undefined) return await findProvenance(store, avatar, name, path)
    return await findProvenance(store, writer, { platform: OWN_PLATFORM, identity: writer }, path).catch(
      (error: unknown) => {
        // The owner's link exists, and nothing that the linked avatar wrote is held here.
        if (error instanceof HttpError && error.code === 'unknown_namespace') return unset(writer, path)
        throw error
      },
    )
  }

  app.get(
    '/v2/avatars/:avatar/:platform/:identity/provenance',
    {
      schema: {
        ...schema,
        operationId: 'getNamespaceProvenance',
        description:
          'A URL path cannot have the segments `.` and `..`: for such names use `/v2/avatars/{avatar}/provenance`.',
        params: NamespaceParams,
        querystring: ProvenanceQuery,
      },
    },
    async ({ params, query }) => await find(params.avatar, params, query),
  )

  app.get(
    '/v2/avatars/:avatar/provenance',
    {
      schema: {
        ...schema,
        operationId: 'getProvenance',
        summary: 'Which record set or removed a value of a namespace named in the query',
        description: 'Works for every platform and identity that a record can have.',
        params: AvatarParams,
        querystring: NamedProvenanceQuery,
      },
    },
    async ({ params, query }) => await find(params.avatar, query, query),
  )
}

interface Query {
  readonly path: string
  readonly linked?: string
}

/** The avatar whose value the linked view of another has at a path; undefined if that one writes there itself. */
async function writerOf(
  store: Pick<Store, 'links'>,
  avatar: Avatar,
  name: NamespaceName,
  path: string,
): Promise<Avatar | undefined> {
  if (name.platform !== OWN_PLATFORM || name.identity !== avatar) return undefined
  const [key] = parsePointer(path) ?? []
  return (await store.links(avatar)).find((link) => link.key === key)?.avatar
}

const UNSET = { kind: 'unset', at: null, id: null, counter: null, created_at: null, by: null } as const

const unset = (avatar: Avatar, path: string): Provenance => ({
  avatar,
  platform: OWN_PLATFORM,
  identity: avatar,
  path,
  ...UNSET,
})

async function findProvenance(store: Store, avatar: Avatar, name: NamespaceName, path: string): Promise<Provenance> {
  const tokens = parsePointer(path)
  const [key, ...rest] = tokens ?? []
  if (tokens === undefined || key === undefined) {
    throw new HttpError(
      400,
      'invalid_request',
      'path must be a JSON Pointer (RFC 6901) to a value in the content, such as /a/b.',
    )
  }
  const question = { avatar, platform: name.platform, identity: name.identity, path }
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const trace = await traceMember(store, avatar, name, key, rest)
    if (trace === undefined) {
      return { ...question, ...UNSET }
    }
    const { kind, stamp, depth } = trace
    const found = await readBody(store, stamp.id)
    if (found === undefined) continue
    const { id, body } =
      found.type === 'snapshot' ? await layerOf(store, stamp.id, found, name, tokens) : { id: stamp.id, body: found }
    const at = formatPointer(tokens.slice(0, depth + 1))
    return { ...question, kind, at, id, counter: stamp.counter, created_at: body.created_at, by: body.type }
  }
  const message = 'The avatar changes faster than this node can read it. Try again in 1 s.'
  throw new HttpError(503, 'busy', message, { retryS: 1 })
}

/** Returns which record decided the value at a path in a member, without keeping the member, which may be large. */
async function traceMember(
  store: Store,
  avatar: Avatar,
  name: NamespaceName,
  key: string,
  tokens: readonly string[],
): Promise<Trace | undefined> {
  const cell = await store.member(avatar, name, key)
  if (cell !== undefined) return cell === null ? undefined : traceCell(cell, tokens)
  throw unknownNamespace()
}

async function readBody(store: Store, id: RecordId): Promise<RecordBody | undefined> {
  const record = await store.record(id)
  return record && readVerifiedPayload(record.payload)
}

/** Returns the record of a base that holds a value: the last of its parts that writes it, or the snapshot itself. */
async function layerOf(
  store: Store,
  id: RecordId,
  body: RecordBody & { type: 'snapshot' },
  name: NamespaceName,
  tokens: readonly string[],
): Promise<{ id: RecordId; body: RecordBody }> {
  for (const part of body.parts.slice(-PARTS_SEARCHED).reverse()) {
    const found = await readBody(store, part)
    if (found?.type === 'part' && layerDecides(found.state, name, tokens)) return { id: part, body: found }
  }
  return { id, body }
}
