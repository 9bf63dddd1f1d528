/**
 * Archives (docs/protocol.md, "Archive") of a replica, in browsers too. Every record that is taken in was verified.
 */
import { readArchive } from '../archive/reader.ts'
import { FaultLog, type ArchiveFault } from '../archive/errors.ts'
import type { ArchiveSource } from '../archive/format.ts'
import { webPlatform } from '../archive/web.ts'
import { writeArchive } from '../archive/writer.ts'
import { throwIfAborted } from '../client/deadline.ts'
import { createSlices } from '../client/verify-records.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { compareRecords } from '../record/order.ts'
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { verifyOrError } from '../record/verify.ts'
import { ReplicaError } from './errors.ts'
import { IMPORT_RECORDS, MAX_NOISE_BYTES } from './limits.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { ImportOptions, ImportResult } from './types.ts'

/** @param replicas of the avatars that it names, or of all */
export function writeArchiveOf(
  replicas: readonly AvatarReplica[],
  { network, createdAt, isNamed }: { readonly network: string; readonly createdAt: number; readonly isNamed: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  const byAvatar = new Map(replicas.map((replica) => [replica.avatar, replica]))
  const avatars = [...byAvatar.keys()].sort()
  const source: ArchiveSource = {
    async *avatars() {
      yield* avatars
    },
    async *records(avatar) {
      yield* [...(byAvatar.get(avatar)?.shown.records ?? [])].sort(compareRecords)
    },
  }
  const named = isNamed ? { avatars } : {}
  return writeArchive(webPlatform, source, { network, createdAt, history: false, ...named })
}

export interface ImportComponents {
  readonly engine: SignatureEngine
  readonly network: string
  /** The replica of an avatar; undefined for one that is not followed and shall not be. */
  readonly replicaOf: (avatar: Avatar) => Promise<AvatarReplica | undefined>
}

/**
 * @throws ReplicaError `usage` for a file that is not an archive, is one of another network, or breaks off; what came before
 *   that was taken in
 */
export async function readArchiveInto(
  { engine, network, replicaOf }: ImportComponents,
  chunks: AsyncIterable<Uint8Array>,
  { signal }: ImportOptions,
): Promise<ImportResult> {
  const counts = { records: 0, added: 0, duplicate: 0, superseded: 0, invalid: 0, skipped: 0 }
  const faults = new FaultLog()
  const slices = createSlices()
  let batch: VerifiedRecord[] = []
  let trailer: ImportResult['trailer'] = 'missing'

  async function flush(): Promise<void> {
    const byAvatar = groups(batch)
    batch = []
    for (const [avatar, records] of byAvatar) {
      const replica = await replicaOf(avatar)
      if (replica === undefined) {
        counts.skipped += records.length
        continue
      }
      const added = new Set((await replica.take(records)).map(({ id }) => id))
      for (const { id } of records) {
        if (added.has(id)) counts.added += 1
        else counts[replica.shown.get(id) === undefined ? 'superseded' : 'duplicate'] += 1
      }
    }
  }

  function report(fault: ArchiveFault): void {
    const { code, message, fatal } = fault
    if (fatal || code === 'header_missing') {
      throw new ReplicaError('usage', `This archive cannot be imported: ${message} What came before was imported.`)
    }
    if (code === 'bad_record') counts.invalid += 1
    faults.add(fault)
  }

  async function take(record: SignedRecord, line: number): Promise<void> {
    const result = verifyOrError(engine, network, record, { recoveryByte: true })
    if (result instanceof RecordError) report({ code: 'bad_record', line, message: result.message, fatal: false })
    else batch.push(result)
    if (batch.length >= IMPORT_RECORDS) await flush()
    if (slices.isOver()) await slices.pause([signal])
  }

  try {
    const options = { network, maxNoiseBytes: MAX_NOISE_BYTES }
    for await (const event of readArchive(webPlatform, untilAborted(chunks, signal), options)) {
      if (event.kind === 'record') await take(event.record, event.line)
      else if (event.kind === 'fault') report(event.fault)
      else if (event.kind === 'end') {
        counts.records = event.records
        trailer = event.trailer
      }
    }
  } finally {
    // After an error too: what came before it counts.
    await flush()
  }
  return {
    ...counts,
    trailer,
    faults: faults.report().first.map(({ line, code, message }) => ({ line, code, message })),
  }
}

async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    throwIfAborted([signal])
    yield chunk
  }
}

function groups(records: readonly VerifiedRecord[]): Map<Avatar, VerifiedRecord[]> {
  const byAvatar = new Map<Avatar, VerifiedRecord[]>()
  for (const record of records) {
    const known = byAvatar.get(record.body.avatar)
    if (known === undefined) byAvatar.set(record.body.avatar, [record])
    else known.push(record)
  }
  return byAvatar
}
