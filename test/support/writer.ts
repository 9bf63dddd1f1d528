import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { buildPatch } from '../../src/record/build.ts'
import { recordDigest } from '../../src/record/id.ts'
import { avatarOf } from '../../src/record/keys.ts'
import { encodePayload } from '../../src/record/payload.ts'
import type { Avatar, Citation, JsonObject, RecordId, SignedRecord } from '../../src/record/types.ts'

interface Bindings {
  ecdsaSign(digest: Uint8Array, secretKey: Uint8Array): { signature: Uint8Array }
}
/** libsecp256k1, which signs thirty times faster than the pure JavaScript of `signRecord`: the benches need many. */
const bindings = createRequire(import.meta.url)('secp256k1/bindings.js') as Bindings

export interface Written extends SignedRecord {
  readonly id: RecordId
  readonly counter: number
}

export interface PatchOptions {
  /** The tips to cite; what this writer wrote last where it is left out. */
  readonly prev?: readonly Citation[]
  readonly platform?: string
  readonly identity?: string
}

/** Someone who signs: a key, and the record that it wrote last. */
export interface Writer {
  readonly avatar: Avatar
  readonly secretKey: Uint8Array
  write(patch: JsonObject, options?: PatchOptions): Written
}

/** Records of a writer lie a second apart, as far as that goes. */
const PAST_SECONDS = 100_000

/** A writer whose key, and so whose avatar, follows from `name`. Its records are of the network `main`. */
export function createWriter(name: string): Writer {
  const secretKey = createHash('sha256').update(`test writer ${name}`).digest()
  const avatar = avatarOf(secretKey)
  const firstCreatedAt = Math.floor(Date.now() / 1000) - PAST_SECONDS
  let last: readonly Citation[] = []
  let count = 0

  return {
    avatar,
    secretKey,
    write(patch, options = {}) {
      const body = buildPatch({
        avatar,
        network: 'main',
        platform: options.platform ?? 'nextid',
        identity: options.identity ?? avatar,
        patch,
        prev: options.prev ?? last,
        createdAt: firstCreatedAt + Math.min(count, PAST_SECONDS),
        uuid: uuidOf(count++),
      })
      const payload = encodePayload(body)
      const digest = recordDigest(payload)
      const { signature } = bindings.ecdsaSign(digest, secretKey)
      const id: RecordId = `0x${Buffer.from(digest).toString('hex')}`
      last = [{ counter: body.counter, id }]
      return { payload, signature, id, counter: body.counter }
    },
  }
}

/** A citation of a record, for `prev`. */
export function cite(...records: readonly { counter: number; id: RecordId }[]): Citation[] {
  return records.map(({ counter, id }) => ({ counter, id }))
}

function uuidOf(count: number): string {
  return `00000000-0000-4000-8000-${count.toString(16).padStart(12, '0')}`
}
