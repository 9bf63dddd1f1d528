import { createRequire } from 'node:module'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { Citation, RecordBody, RecordId, SignedRecord } from '../../src/record/types.ts'
import type { StoredRecord } from '../../src/store/types.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { fingerprint } from './crypto.ts'
import { text } from './disk.ts'
import { Violation } from './violation.ts'

interface Bindings {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
}
const bindings: Bindings = createRequire(import.meta.url)('secp256k1/bindings')

/** A write that a node has acknowledged. */
export interface Acknowledged {
  readonly record: TestRecord
  readonly node: number
  /** Times that the node had let the avatar go before. */
  readonly letGo: number
}

/** What the world knows beyond all nodes: every record that was ever made, and what its author was told. */
export class Ledger {
  readonly #records = new Map<RecordId, TestRecord>()
  readonly #payloads = new Map<string, TestRecord>()
  readonly #bodies = new Map<string, RecordBody>()
  readonly acknowledged: Acknowledged[] = []
  /** Records whose author was told that they are superseded. */
  readonly told = new Set<RecordId>()

  add(record: TestRecord): void {
    this.#records.set(record.id, record)
    this.#payloads.set(text(record.payload), record)
  }

  byPayload(payload: Uint8Array): TestRecord | undefined {
    return this.#payloads.get(text(payload))
  }

  record(id: RecordId): TestRecord | undefined {
    return this.#records.get(id)
  }

  all(): Iterable<TestRecord> {
    return this.#records.values()
  }

  acknowledge(record: TestRecord, node: number, letGo: number): void {
    this.acknowledged.push({ record, node, letGo })
  }

  /**
   * The body of a stored record, read and checked apart from the code under test: canonical payload, id, strict signature.
   */
  body(stored: Pick<StoredRecord, 'id'> & SignedRecord): RecordBody {
    const key = `${stored.id}${fingerprint(stored)}`
    const known = this.#bodies.get(key)
    if (known !== undefined) return known
    const body = strictBody(stored)
    this.#bodies.set(key, body)
    return body
  }

  /** What the author of some citations had seen: all that they lead to. */
  closure(prev: readonly Citation[]): Set<RecordId> {
    const seen = new Set<RecordId>()
    const open = prev.map(({ id }) => id)
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (seen.has(id)) continue
      seen.add(id)
      const body = this.#records.get(id)?.body
      if (body !== undefined && body.type !== 'part') open.push(...body.prev.map((place) => place.id))
    }
    return seen
  }
}

function strictBody({ id, payload, signature }: Pick<StoredRecord, 'id'> & SignedRecord): RecordBody {
  const wrong = (what: string): Violation => new Violation('a stored record fails strict verification', `${id} ${what}`)
  const json = new TextDecoder('utf-8', { fatal: true }).decode(payload)
  const body = JSON.parse(json) as RecordBody
  if (canonicalText(JSON.parse(json)) !== json) throw wrong('is not canonical')
  const prefix = new TextEncoder().encode(`\u0019Ethereum Signed Message:\n${payload.length}`)
  const digest = keccak_256(Buffer.concat([prefix, payload]))
  if (`0x${Buffer.from(digest).toString('hex')}` !== id) throw wrong('has the id of other bytes')
  const publicKey = Buffer.from(body.avatar.slice(2), 'hex')
  // libsecp256k1 takes no signature with a high s.
  const isGood = signature.length === 64 && bindings.ecdsaVerify(signature, digest, publicKey)
  if (!isGood) throw wrong('has no strict signature of its avatar')
  if (body.version !== '2' || body.network !== 'main') throw wrong('is of another version or network')
  if (body.type !== 'part') {
    const counter = 1 + Math.max(0, ...body.prev.map((place) => place.counter))
    if (body.counter !== counter) throw wrong(`has the counter ${body.counter}, not ${counter}`)
  }
  if (body.counter > body.created_at) throw wrong('has a counter above created_at')
  return body
}
