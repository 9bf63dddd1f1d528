import type { FastifyReply, FastifyRequest } from 'fastify'

import type { IngestResult } from '../../ingest/types.ts'
import { parseSignature } from '../../record/signature.ts'
import type { Avatar } from '../../record/types.ts'
import type { JsonSnapshot } from '../../store/types.ts'
import type { JsonAnswer } from '../answers/json-answers.ts'
import { between, inMemory, written } from '../answers/json-snapshots.ts'
import { HttpError } from '../lib/errors.ts'
import { BY_IDENTITY_VALUES, V1_BODY_BYTES } from '../lib/limits.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses } from '../lib/schemas.ts'
import { claimedValues } from './by-identity.ts'
import { createIssuedPayloads, type Draft } from './issued-payloads.ts'
import { errorOfResult } from './results.ts'
import {
  ByIdentityAnswer,
  ByIdentityQuery,
  KvAnswer,
  KvQuery,
  PayloadAnswer,
  PayloadRequest,
  WriteRequest,
} from './schemas.ts'

const TAGS = ['Version 1 (Next.ID)']
const NO_PROOFS = Buffer.from('[]')

/**
 * Version 1: the API of Next.ID's KV server, for its unmodified clients (docs/protocol.md, "HTTP"). These clients send JSON
 * with any content type, call an avatar `persona`, and sign a text that the node builds.
 */
export function addV1Routes(app: HttpApp, parts: RouteParts): void {
  const { store, views, answers, ingest, names, clients, hosting } = parts
  const isShown = (avatar: Avatar): boolean => hosting.hosts(avatar)
  const issued = createIssuedPayloads(parts)

  /** Answers as `GET /v1/kv`, with the linked view; an unknown avatar has no proofs. */
  async function sendKv(
    request: FastifyRequest,
    reply: FastifyReply,
    avatar: Avatar,
    answer: Pick<JsonAnswer<JsonSnapshot>, 'status' | 'slot'> = {},
  ): Promise<FastifyReply> {
    const key = JSON.stringify(names.uncompressed(avatar))
    const before = `{"persona":${key},"avatar":${key},"proofs":`
    const view = await views.loadLinked(avatar)
    const open = async () => {
      if (view !== 'large') return between(before, inMemory(view?.stored ?? NO_PROOFS), '}')
      return between(before, (await store.openLinkedView(avatar, isShown)) ?? inMemory(NO_PROOFS), '}')
    }
    return await answers.send(request, reply, { ...answer, open })
  }

  function draftOf(body: PayloadRequest): Draft {
    const avatar = avatarOf(body.avatar, body.persona)
    const { identity } = names.namespace(body)
    return { avatar, platform: body.platform, identity, patch: body.patch }
  }

  /** @throws RecordError `invalid_avatar`; HttpError `invalid_request` if both are missing */
  function avatarOf(avatar: string | null | undefined, persona: string | null | undefined): Avatar {
    const text = avatar ?? persona
    if (text === null || text === undefined) {
      throw new HttpError(400, 'invalid_request', 'The member avatar (or persona) is missing. Add it.')
    }
    return names.parse(text)
  }

  app.get(
    '/v1/kv',
    {
      schema: {
        tags: TAGS,
        operationId: 'v1GetKv',
        summary: 'Everything that an avatar has written',
        querystring: KvQuery,
        response: responses({ 200: KvAnswer }, [400, 413]),
      },
    },
    async (request, reply) => {
      const { avatar, persona } = request.query
      return await sendKv(request, reply, avatarOf(avatar, persona))
    },
  )

  app.get(
    '/v1/kv/by_identity',
    {
      schema: {
        tags: TAGS,
        operationId: 'v1FindByIdentity',
        summary: 'The avatars that claim an account, and their content for it',
        description:
          `At most ${BY_IDENTITY_VALUES} avatars. Each avatar claims the account by itself; ` +
          'this node has not checked it.',
        querystring: ByIdentityQuery,
        response: responses({ 200: ByIdentityAnswer }, [400, 413]),
      },
    },
    async (request, reply) => {
      const { platform, identity } = names.namespace(request.query)
      const values = written(() => claimedValues(parts, platform, identity))
      return await answers.send(request, reply, { open: () => Promise.resolve(values) })
    },
  )

  app.post(
    '/v1/kv/payload',
    {
      bodyLimit: V1_BODY_BYTES,
      schema: {
        tags: TAGS,
        operationId: 'v1RequestPayload',
        summary: 'Ask for a payload to sign',
        description: 'Nothing is reserved: a client may ask for several payloads and write them in any order.',
        body: PayloadRequest,
        response: responses({ 200: PayloadAnswer }, [400, 413]),
      },
    },
    async ({ body }) => {
      const { uuid, createdAt, payload } = await issued.issue(draftOf(body))
      return { uuid, created_at: createdAt, sign_payload: new TextDecoder().decode(payload) }
    },
  )

  app.post(
    '/v1/kv',
    {
      bodyLimit: V1_BODY_BYTES,
      schema: {
        tags: TAGS,
        operationId: 'v1Write',
        summary: 'Write with a signed payload',
        description: 'Answers as `GET /v1/kv` does once the write is on disk; the answer includes it.',
        body: WriteRequest,
        response: responses({ 201: KvAnswer }, [400, 409, 413]),
      },
    },
    async (request, reply) => {
      const { body } = request
      const draft = draftOf(body)
      const signature = parseSignature(body.signature)
      const recalled = await issued.recall(draft, body.uuid.toLowerCase(), Number(body.created_at))
      const known = await bytesOf(draft.avatar)
      // Reserve before the write: otherwise a stored write could be answered with `busy`.
      const slot = await answers.reserve(request, known + recalled.payload.length)
      const source = clients.ofRequest(request.raw)
      try {
        const [result] = await ingest.submit([{ payload: recalled.payload, signature }], { origin: 'http', source })
        if (result === undefined) throw new Error('Ingest returned no result.')
        if (result.status === 'stored' || (await isVisibleAlready(result))) {
          return await sendKv(request, reply, draft.avatar, {
            status: 201,
            ...(slot === undefined ? {} : { slot }),
          })
        }
        if (result.status === 'invalid' && !recalled.issued) throw payloadUnknown()
        throw errorOfResult(result.status === 'duplicate' ? { ...result, status: 'pending' } : result)
      } finally {
        slot?.release()
      }
    },
  )

  /** Upper bound of the bytes of an avatar's linked view. */
  async function bytesOf(avatar: Avatar): Promise<number> {
    const linked = new Set((await store.links(avatar)).map((link) => link.avatar))
    const summaries = await Promise.all([avatar, ...linked].map((each) => store.summary(each)))
    return summaries.reduce((sum, summary) => sum + (summary?.bytes ?? 0), 0)
  }

  /** Whether an earlier call stored this write and it is visible. */
  async function isVisibleAlready({ id, status }: IngestResult): Promise<boolean> {
    if (status !== 'duplicate' || id === null) return false
    return (await store.record(id))?.status !== 'pending'
  }
}

function payloadUnknown(): HttpError {
  return new HttpError(
    400,
    'payload_unknown',
    'The signature does not match the payload as this node knows it. Either the payload was issued too long ago or by ' +
      'another node, or avatar, platform, identity, patch, uuid or created_at differ from those it was issued for. ' +
      'Request a new payload with POST /v1/kv/payload, sign its sign_payload unchanged, and send the same members again.',
  )
}
