import { createHash } from 'node:crypto'

import { LRUCache } from 'lru-cache'

import type { Environment } from '../../platform/environment.ts'
import { buildPatch } from '../../record/build.ts'
import { encodePayload } from '../../record/payload.ts'
import type { Avatar, Citation, JsonObject } from '../../record/types.ts'
import { ISSUED_PAYLOAD_MS } from '../lib/limits.ts'
import type { RouteParts } from '../lib/parts.ts'
import { findCitations } from './earlier-tips.ts'

/** A write that a client wants to sign. */
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
  /** Whether this node remembers that it issued exactly these bytes. */
  readonly issued: boolean
}

export interface IssuedPayloads {
  /** Builds a payload on the tips of the avatar. Reserves nothing. @throws RecordError if the draft breaks a rule */
  issue(draft: Draft): Promise<IssuedPayload>
  /**
   * Returns the payload that a client has signed, from the `uuid` and `createdAt` that it sends back: a remembered or a stored
   * one, or else one built on the avatar's earlier tips.
   *
   * @throws RecordError if the draft breaks a rule
   */
  recall(draft: Draft, uuid: string, createdAt: number): Promise<Recalled>
}

/** The part of a payload that its client does not send back. */
interface Remembered {
  readonly avatar: Avatar
  readonly prev: readonly Citation[]
  readonly hash: string
}

/** Memory of an entry (key, hash, bookkeeping) and of each citation, rounded up. */
const ENTRY_BYTES = 512
const CITATION_BYTES = 160

/**
 * Issues payloads to version 1 clients, which sign a text that the node builds and send back only their own part of it. The
 * citations, which they do not send back, are remembered for an hour. After that, or after a restart, they are found in the
 * store with the help of the counter in the uuid (see `makeUuid`).
 */
export function createIssuedPayloads({ store, environment, facts, limits }: RouteParts): IssuedPayloads {
  const remembered = new LRUCache<string, Remembered>({
    maxSize: limits.maxIssuedBytes,
    sizeCalculation: ({ prev }) => ENTRY_BYTES + prev.length * CITATION_BYTES,
    ttl: ISSUED_PAYLOAD_MS,
    perf: environment.clock,
  })

  function build(draft: Draft, prev: readonly Citation[], createdAt: number, uuid: string): Uint8Array {
    return encodePayload(buildPatch({ ...draft, network: facts.network, prev, createdAt, uuid }))
  }

  return {
    async issue(draft) {
      const prev = (await store.summary(draft.avatar))?.tips ?? []
      const uuid = makeUuid(environment, (prev.at(-1)?.counter ?? 0) + 1)
      const createdAt = Math.floor(environment.clock.now() / 1000)
      const payload = build(draft, prev, createdAt, uuid)
      remembered.set(uuid, { avatar: draft.avatar, prev, hash: hash(payload) })
      return { uuid, createdAt, payload }
    },
    async recall(draft, uuid, createdAt) {
      const memory = remembered.get(uuid)
      if (memory?.avatar === draft.avatar) {
        const payload = build(draft, memory.prev, createdAt, uuid)
        // Other bytes: the client sent another write than the one issued here; another node may have issued it.
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

/** Hex digits at the beginning of a uuid that hold the counter: 48 bits, enough since a counter is at most Unix seconds. */
const COUNTER_DIGITS = 12

/** Returns a uuid (RFC 9562, version 4) whose first 48 bits are a record's counter; 74 bits are random. */
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
