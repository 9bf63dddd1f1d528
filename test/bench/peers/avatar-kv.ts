import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createLogger } from '../../../src/observe/logger.ts'
import { openOfflineStore } from '../../../src/offline/open.ts'
import { systemEnvironment } from '../../../src/platform/system.ts'
import { buildPatch } from '../../../src/record/build.ts'
import type { SignatureEngine } from '../../../src/record/engine.ts'
import { idText, recordDigest } from '../../../src/record/id.ts'
import { avatarOf } from '../../../src/record/keys.ts'
import { encodePayload } from '../../../src/record/payload.ts'
import type { Citation, SignedRecord } from '../../../src/record/types.ts'
import { MAX_DEFAULT_WORKERS } from '../../../src/verify/verify-service.ts'
import type { Entry, System } from './jobs.ts'

/** The store and the door of this node, in process: each entry is a signed patch, verified and fsynced. */
export const avatarKv: System = {
  async open({ folder }) {
    const parts = { environment: systemEnvironment(), logger: createLogger({ level: 'silent', pretty: false }) }
    const { ingest, engine, close } = await openOfflineStore(parts, {
      location: join(folder, 'store'),
      network: 'main',
      workers: MAX_DEFAULT_WORKERS,
    })
    const author = createAuthor('peers', engine)
    const signedBefore = new Map<readonly Entry[], SignedRecord[]>()
    return {
      async write(batch) {
        const records = signedBefore.get(batch) ?? batch.map(author)
        const results = await ingest.submit(records, { origin: 'import' })
        const other = results.find(({ status }) => status !== 'stored')
        if (other) throw new Error(`A record was ${other.status}, not stored: ${other.message ?? ''}`)
      },
      presign(batches) {
        for (const batch of batches) signedBefore.set(batch, batch.map(author))
      },
      serve: () => Promise.reject(new Error('Nodes serve as processes of their own: see nodes.ts.')),
      close,
    }
  },
  fetch: () => Promise.reject(new Error('Nodes fetch as processes of their own: see nodes.ts.')),
}

/** Signs a chain of patches, each citing the one before it. */
export function createAuthor(name: string, engine: SignatureEngine): (entry: Entry) => SignedRecord {
  const secretKey = createHash('sha256').update(`bench ${name}`).digest()
  const avatar = avatarOf(secretKey)
  let prev: Citation[] = []
  return ({ key, value }) => {
    const body = buildPatch({
      avatar,
      network: 'main',
      platform: 'nextid',
      identity: avatar,
      patch: { [key]: value },
      prev,
      createdAt: Math.floor(Date.now() / 1000),
      uuid: randomUUID(),
    })
    const payload = encodePayload(body)
    const digest = recordDigest(payload, engine.keccak256)
    prev = [{ counter: body.counter, id: idText(digest) }]
    return { payload, signature: engine.sign(digest, secretKey) }
  }
}
