import { MemoryLevel } from 'memory-level'
import type { Avatar, VerifiedRecord } from '../../src/record/types.ts'
import { levelDisk } from '../../src/replica/level-disk.ts'
import { createReplica } from '../../src/replica/replica.ts'
import { loneTab } from '../../src/replica/tabs.ts'
import type { Replica, ReplicaEvent, ReplicaOptions } from '../../src/replica/types.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { joined } from '../archive/archives.ts'
import type { TestRecord } from '../oracle/signing.ts'

const engine = await selectEngine()
const HEADER = '{"created_at":1790000000,"format":"avatar-kv-archive/2","network":"main"}'

export type RawDb = MemoryLevel<string, string>

/** One database in memory, and the replica on it while it is open: offline unless it is given nodes. */
export interface ReplicaHarness {
  /** Opens the replica; closes it first where it is open. */
  open(options?: ReplicaOptions): Promise<Replica>
  /** What the replica told since it was opened last. */
  readonly events: ReplicaEvent[]
  /** Lets `change` at the rows, with the replica closed. */
  tamper(change: (db: RawDb) => Promise<void>): Promise<void>
  /** All rows, in order, with the replica closed. */
  dump(): Promise<[key: string, value: Uint8Array][]>
  close(): Promise<void>
}

export const ROWS = { keyEncoding: 'utf8', valueEncoding: 'view' } as const

export function replicaHarness(): ReplicaHarness {
  const db: RawDb = new MemoryLevel<string, string>()
  const events: ReplicaEvent[] = []
  let replica: Replica | undefined
  const close = async (): Promise<void> => {
    await replica?.close()
    replica = undefined
  }
  const raw = async (use: () => Promise<void>): Promise<void> => {
    await close()
    await db.open()
    await use().finally(() => db.close())
  }
  return {
    events,
    async open(options = {}) {
      await close()
      await db.open()
      replica = await createReplica({ disk: levelDisk(db), tabs: loneTab() }, { engine, ...options })
      events.length = 0
      replica.on((event) => events.push(event))
      return replica
    },
    tamper: (change) => raw(() => change(db)),
    async dump() {
      const rows: [string, Uint8Array][] = []
      await raw(async () => {
        for await (const row of db.iterator<string, Uint8Array>(ROWS)) rows.push(row)
      })
      return rows
    },
    close,
  }
}

/** Records as an archive that was cut short, in the order given. */
async function* cutArchive(records: readonly TestRecord[]): AsyncGenerator<Uint8Array> {
  const lines = records.map(({ payload, signature }) =>
    JSON.stringify({
      payload: Buffer.from(payload).toString(),
      signature: `0x${Buffer.from(signature).toString('hex')}`,
    }),
  )
  yield joined([HEADER, ...lines])
}

/** Hands records to a replica by the door that it has for strangers'. */
export async function give(replica: Replica, records: readonly TestRecord[]) {
  return await replica.import(cutArchive(records), { follow: true })
}

/** Ids of all records that a replica has of an avatar, own writes included. */
export async function idsOf(replica: Replica, avatar: Avatar, given: readonly VerifiedRecord[]): Promise<Set<string>> {
  if (!replica.avatars().includes(avatar)) return new Set()
  const byPayload = new Map(given.map(({ id, payload }) => [Buffer.from(payload).toString(), id]))
  const ids = new Set<string>()
  for await (const chunk of replica.export({ avatars: [avatar] })) {
    for (const line of Buffer.from(chunk).toString().split('\n')) {
      const payload = line === '' ? undefined : (JSON.parse(line) as { payload?: string }).payload
      if (payload !== undefined) ids.add(byPayload.get(payload) ?? `unknown ${payload}`)
    }
  }
  return ids
}
