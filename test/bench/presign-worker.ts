import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { recordDigest, idText } from '../../src/record/id.ts'
import { avatarOf } from '../../src/record/keys.ts'
import { encodePayload } from '../../src/record/payload.ts'
import type { Avatar, Citation, PatchBody, SignedRecord } from '../../src/record/types.ts'
import { loadNativeEngine } from '../../src/verify/engines.ts'
import type { PresignSpec } from './presign.ts'

const engine = await loadNativeEngine()

interface Author {
  readonly avatar: Avatar
  readonly secretKey: Uint8Array
  prev: readonly Citation[]
}

function presign(spec: PresignSpec): SignedRecord[] {
  const authors = Array.from({ length: spec.avatars }, (_, index) => author(`${spec.name} ${index}`))
  // One patch of each avatar a second, up to now, as sync orders records by time.
  const firstCreatedAt = Math.floor(Date.now() / 1000) - spec.perAvatar
  const records: SignedRecord[] = []
  for (let round = 0; round < spec.perAvatar; round++) {
    for (const one of authors) records.push(next(one, round, firstCreatedAt + round, spec))
  }
  return records
}

function author(name: string): Author {
  const secretKey = createHash('sha256').update(`bench ${name}`).digest()
  return { avatar: avatarOf(secretKey), secretKey, prev: [] }
}

function next(from: Author, round: number, createdAt: number, spec: PresignSpec): SignedRecord {
  const body = (value: string): PatchBody => ({
    avatar: from.avatar,
    counter: round + 1,
    created_at: createdAt,
    identity: from.avatar,
    network: 'main',
    patch: { [`key${round % spec.keys}`]: value },
    platform: 'nextid',
    prev: from.prev,
    type: 'patch',
    uuid: `00000000-0000-4000-8000-${round.toString(16).padStart(12, '0')}`,
    version: '2',
  })
  const bare = encodePayload(body(''))
  const padding = Math.max(0, spec.payloadBytes - bare.length)
  const payload = padding === 0 ? bare : encodePayload(body(String(round).padEnd(padding, '.').slice(0, padding)))
  const digest = recordDigest(payload, engine.keccak256)
  from.prev = [{ counter: round + 1, id: idText(digest) }]
  return { payload, signature: engine.sign(digest, from.secretKey) }
}

parentPort?.postMessage(presign(workerData as PresignSpec))
