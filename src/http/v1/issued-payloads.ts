import { createHash } from 'node:crypto'

import { LRUCache } from 'lru-cache'

import type { Environment } from '../../platform/environment.ts'
import { buildPatch } from '../../record/build.ts'
import { encodePayload } from '../../record/payload.ts'
import type { Avatar, Citation, JsonObject } from '../../record/types.ts'
import type { StoreReader } from '../../store/types.ts'
import { findCitations } from './earlier-tips.ts'
import { ISSUED_PAYLOAD_MS } from '../lib/limits.ts'

/** What a client asks to sign. */
export interface Draft {
  readonly avatar: Avatar
  readonly platform: string
  readonly identity: string
  readonly patch: JsonObject
}

export interface IssuedPayload {
  readonly uuid: string
  /** Unix seconds. */
  readonly createdAt: number
  readonly payload: Uint8Array
}

export interface Recalled {
  readonly payload: Uint8Array
  /** Whether this node remembers to have issued these very bytes. */
  readonly issued: boolean
}

export interface IssuedPayloads {
  /** Builds a payload on the tips of the avatar. Nothing is reserved. Throws RecordError where the draft breaks a rule. */
  issue(draft: Draft): Promise<IssuedPayload>
  /**
   * The payload that a client which echoes `uuid` and `createdAt` has signed: the one that this node remembers, or that it has
   * stored, or else one built on what the avatar's tips were. Throws RecordError as `issue` does.
   */
  recall(draft: Draft, uuid: string, createdAt: number): Promise<Recalled>
}

/** Of the payload only what its client will not send again. */
interface Memory {
  readonly avatar: Avatar
  readonly prev: readonly Citation[]
  readonly hash: string
}

/** What a memory takes, in bytes: its key, hash, bookkeeping, and each citation. Measured generously. */
const MEMORY_BYTES = 512
const CITATION_BYTES = 160

/**
 * Payloads for clients that sign blindly and send back their own part of what they signed (version 1). What such a client does
 * not send back, the citations, is remembered for an hour. After that, or after a restart, it is found in the store: the uuid
 * tells the record's counter (see `makeUuid`).
 */
export function createIssuedPayloads(
  {
    store,
    environment,
  }: { readonly store: Pick<StoreReader, 'summary' | 'history'>; readonly environment: Environment },
  options: { readonly network: string; readonly maxPayloads: number; readonly maxBytes: number },
): IssuedPayloads {
  const memories = new LRUCache<string, Memory>({
    max: options.maxPayloads,
    maxSize: options.maxBytes,
    sizeCalculation: ({ prev }) => MEMORY_BYTES + prev.length * CITATION_BYTES,
    ttl: ISSUED_PAYLOAD_MS,
    perf: environment.clock,
  })

  function build(draft: Draft, prev: readonly Citation[], createdAt: number, uuid: string): Uint8Array {
    return encodePayload(buildPatch({ ...draft, network: options.network, prev, createdAt, uuid }))
  }

  return {
    async issue(draft) {
      const prev = (await store.summary(draft.avatar))?.tips ?? []
      const uuid = makeUuid(environment, (prev.at(-1)?.counter ?? 0) + 1)
      const createdAt = Math.floor(environment.clock.now() / 1000)
      const payload = build(draft, prev, createdAt, uuid)
      memories.set(uuid, { avatar: draft.avatar, prev, hash: hash(payload) })
      return { uuid, createdAt, payload }
    },
    async recall(draft, uuid, createdAt) {
      const memory = memories.get(uuid)
      if (memory?.avatar === draft.avatar) {
        const payload = build(draft, memory.prev, createdAt, uuid)
        // Other bytes: the client did not send what it had asked to sign here, and may have asked elsewhere.
        if (hash(payload) === memory.hash) return { payload, issued: true }
      }
      const prev = await findCitations(store, draft.avatar, { uuid, createdAt, counter: counterOf(uuid) })
      return { payload: build(draft, prev, createdAt, uuid), issued: false }
    },
  }
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

/** Hex digits at the beginning of a uuid that hold the counter: 48 bits, far above any counter, which is at most the time. */
const COUNTER_DIGITS = 12

/** A uuid (RFC 9562, version 4) of which the first 48 bits are a record's counter and 74 are random. */
function makeUuid({ random }: Environment, counter: number): string {
  const bytes = Buffer.from(random.bytes(16))
  bytes.writeUIntBE(counter, 0, COUNTER_DIGITS / 2)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function counterOf(uuid: string): number {
  return Number.parseInt(uuid.replaceAll('-', '').slice(0, COUNTER_DIGITS), 16)
}
