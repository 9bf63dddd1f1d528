import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Level } from 'level'
import { requirePeer } from './install.ts'
import type { Entry, Job, System } from './jobs.ts'

interface Cid {
  toString(): string
}
interface CommitData {
  readonly newBlocks: { forEach(each: (bytes: Uint8Array, cid: Cid) => void): void }
  readonly removedCids: { toList(): readonly Cid[] }
}
interface Storage {
  applyCommit(commit: CommitData): Promise<void>
}
interface Keypair {
  did(): string
}
interface Repo {
  applyWrites(writes: readonly object[], keypair: Keypair): Promise<Repo>
  readonly cid: Cid
}
interface AtprotoRepo {
  readonly MemoryBlockstore: new () => Storage
  readonly Repo: { create(storage: Storage, did: string, keypair: Keypair): Promise<Repo> }
  getFullRepo(storage: Storage, commit: Cid): AsyncIterable<Uint8Array>
  verifyRepoCar(
    car: Uint8Array,
    did: string,
    signingKey: string,
  ): Promise<{ readonly creates: readonly object[]; readonly commit: CommitData }>
}
interface AtprotoCrypto {
  readonly Secp256k1Keypair: { create(): Promise<Keypair> }
}

const DID = 'did:web:bench.example'
const COLLECTION = 'com.example.bench'

/**
 * The repository of atproto. Its package stores in memory alone, so the bench puts the blocks of each commit into LevelDB as well,
 * in one fsynced batch. Reads come from memory. A second process imports a CAR over HTTP, as `com.atproto.sync.getRepo` gives it.
 */
export const atproto: System = {
  async open(job) {
    const { Repo, MemoryBlockstore, getFullRepo } = requirePeer<AtprotoRepo>(job.peers, '@atproto/repo')
    const { Secp256k1Keypair } = requirePeer<AtprotoCrypto>(job.peers, '@atproto/crypto')
    const blocks = await openBlocks(job)
    const storage = new MemoryBlockstore()
    const keypair = await Secp256k1Keypair.create()
    const inMemory = storage.applyCommit.bind(storage)
    storage.applyCommit = async (commit) => {
      await store(blocks, commit)
      await inMemory(commit)
    }
    let repo = await Repo.create(storage, DID, keypair)
    return {
      async write(entries) {
        repo = await repo.applyWrites(entries.map(create), keypair)
      },
      async serve() {
        const server = createServer((_, response) => {
          void (async () => {
            for await (const chunk of getFullRepo(storage, repo.cid)) response.write(chunk)
            response.end()
          })().catch((error: unknown) => response.destroy(error as Error))
        }).listen(0, '127.0.0.1')
        await once(server, 'listening')
        return `${(server.address() as AddressInfo).port} ${keypair.did()}`
      },
      close: async () => await blocks.close(),
    }
  },
  async fetch(job, up, held) {
    const [port, signingKey = ''] = (job.address ?? '').split(' ')
    const { verifyRepoCar } = requirePeer<AtprotoRepo>(job.peers, '@atproto/repo')
    const blocks = await openBlocks(job)
    up()
    const answer = await fetch(`http://127.0.0.1:${port}/`)
    const { creates, commit } = await verifyRepoCar(new Uint8Array(await answer.arrayBuffer()), DID, signingKey)
    await store(blocks, commit)
    held(creates.length)
  },
}

type Blocks = Level<string, Uint8Array>

async function openBlocks({ folder }: Job): Promise<Blocks> {
  const blocks: Blocks = new Level(join(folder, 'blocks'), { valueEncoding: 'view' })
  await blocks.open()
  return blocks
}

async function store(into: Blocks, { newBlocks, removedCids }: CommitData): Promise<void> {
  const batch = into.batch()
  for (const cid of removedCids.toList()) batch.del(cid.toString())
  newBlocks.forEach((bytes, cid) => void batch.put(cid.toString(), bytes))
  await batch.write({ sync: true })
}

function create({ key, value }: Entry): object {
  return { action: 'create', collection: COLLECTION, rkey: key, record: { $type: COLLECTION, value } }
}
