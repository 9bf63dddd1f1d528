import { randomUUID } from 'node:crypto'

import { buildPatch, buildSnapshot } from '../../src/record/build.ts'
import { recordDigest, recordId } from '../../src/record/id.ts'
import { uncompressedAvatar } from '../../src/record/keys.ts'
import { signRecord } from '../../src/record/sign.ts'
import type { Citation, JsonObject, RecordId, SignedRecord, StateEntry } from '../../src/record/types.ts'
import { signBody, testKey } from '../oracle/signing.ts'
import type { TestKey } from '../oracle/signing.ts'
import { sign } from '../../src/record/curve.ts'
import { NETWORK, post } from './node.ts'
import type { HttpNode } from './node.ts'

let seeds = 0

/** A fresh key. */
export function newKey(): TestKey & { uncompressed: string } {
  const key = testKey(1_000_000 + ++seeds)
  return { ...key, uncompressed: uncompressedAvatar(key.avatar) }
}

export interface Written extends SignedRecord {
  readonly id: RecordId
  readonly citation: Citation
}

export interface Patch {
  readonly platform?: string
  readonly identity?: string
  readonly patch?: JsonObject
  readonly prev?: readonly Citation[]
  readonly createdAt?: number
}

export function signedPatch(key: TestKey, { platform = 'twitter', identity = 'yeiwb', ...rest }: Patch = {}): Written {
  const { patch = { a: 1 }, prev = [], createdAt = Math.floor(Date.now() / 1000) } = rest
  const body = buildPatch({
    avatar: key.avatar,
    network: NETWORK,
    platform,
    identity,
    patch,
    prev,
    createdAt,
    uuid: randomUUID(),
  })
  return written(signRecord(body, key.secretKey), body.counter)
}

export function signedSnapshot(key: TestKey, prev: readonly Citation[], state: readonly StateEntry[]): Written {
  const createdAt = Math.floor(Date.now() / 1000)
  const body = buildSnapshot({
    avatar: key.avatar,
    network: NETWORK,
    state,
    parts: [],
    prev,
    createdAt,
    uuid: randomUUID(),
  })
  return written(signRecord(body, key.secretKey), body.counter)
}

function written(record: SignedRecord, counter: number): Written {
  const id = recordId(record.payload)
  return { ...record, id, citation: { counter, id } }
}

/** A record as `POST /v2/records` takes it. */
export function posted({ payload, signature }: SignedRecord) {
  return { payload: Buffer.from(payload).toString(), signature: `0x${Buffer.from(signature).toString('hex')}` }
}

export function postRecords(node: HttpNode, records: readonly SignedRecord[]) {
  return node.json('/v2/records', post({ records: records.map(posted) }))
}

export type Signing = 'v27' | 'v0' | 'compact' | 'hex'

/** Signs a text as a wallet does (`personal_sign`), in the forms in which clients send signatures. */
export function personalSign(text: string, key: TestKey, signing: Signing = 'v27'): string {
  const digest = recordDigest(new TextEncoder().encode(text))
  // noble puts the recovery id first.
  const recovered = sign(digest, key.secretKey, { prehash: false, format: 'recovered' })
  const v = recovered[0] ?? 0
  const compact = recovered.subarray(1)
  if (signing === 'compact') return Buffer.from(compact).toString('base64')
  const bytes = Buffer.from([...compact, signing === 'v0' ? v : v + 27])
  return signing === 'hex' ? `0x${bytes.toString('hex')}` : bytes.toString('base64')
}

const FLOOD_KEYS = 100

/** Many small records of many avatars, signed fast. */
export function flood(count: number, round: number): SignedRecord[] {
  const createdAt = Math.floor(Date.now() / 1000)
  return Array.from({ length: count }, (_, n) => {
    const key = testKey(2_000_000 + (n % FLOOD_KEYS))
    return signBody(key, {
      avatar: key.avatar,
      counter: 1,
      created_at: createdAt,
      identity: `${round}-${n}`,
      network: NETWORK,
      patch: {},
      platform: 'twitter',
      prev: [],
      type: 'patch',
      uuid: randomUUID(),
      version: '2',
    })
  })
}
