import { createMemoryIndex, Negentropy } from '../../src/sync/negentropy.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import type { StoredRecord } from '../../src/store/types.ts'
import { NodeDownError, type SimulatedNode } from './node.ts'
import type { World } from './world.ts'

const FRAME_BYTES = 4_096
const BATCH_RECORDS = 8
const ALL = 1_000_000

/** A stream broke. */
class BrokenStreamError extends Error {
  override readonly name = 'BrokenStreamError'
}

/**
 * Reconciles two connected nodes message by message and brings each what it lacks.
 *
 * @returns records that crossed; what faults cut short is simply not there
 */
export async function reconcile(world: World, near: SimulatedNode, far: SimulatedNode): Promise<number> {
  let crossed = 0
  const hop = async (from: SimulatedNode, to: SimulatedNode, what: string): Promise<void> => {
    const isWhole = await world.wires.carry(from.number, to.number, `sync ${from.number}>${to.number} ${what}`)
    if (!isWhole || from.process === undefined || to.process === undefined) throw new BrokenStreamError('cut off')
  }
  const bring = async (from: SimulatedNode, to: SimulatedNode, records: readonly SignedRecord[]): Promise<void> => {
    for (let at = 0; at < records.length; at += BATCH_RECORDS) {
      const batch = records.slice(at, at + BATCH_RECORDS)
      await hop(from, to, `${batch.length} records`)
      const results = await to.submit(batch, 'sync')
      crossed += results.filter(({ status }) => status === 'stored' || status === 'pending').length
    }
  }
  try {
    const [mine, theirs] = [await liveRecords(near), await liveRecords(far)]
    const options = { frameSizeLimit: FRAME_BYTES, random: { bytes: (length: number) => world.random.bytes(length) } }
    const initiator = new Negentropy(indexOf(mine), options)
    const responder = new Negentropy(indexOf(theirs), options)
    const have: Uint8Array[] = []
    const need: Uint8Array[] = []
    for (let message: Uint8Array | null = await initiator.initiate(); message !== null; ) {
      await hop(near, far, `${message.length} bytes`)
      const answer = await responder.reconcile(message)
      await hop(far, near, `${answer.message?.length ?? 0} bytes`)
      const turn = await initiator.reconcile(answer.message as Uint8Array)
      have.push(...turn.have)
      need.push(...turn.need)
      message = turn.message
    }
    await bring(near, far, pick(mine, have))
    await bring(far, near, pick(theirs, need))
  } catch (error) {
    const isExpected = error instanceof BrokenStreamError || error instanceof NodeDownError
    if (!isExpected && !near.media.isFailing && !far.media.isFailing && !isBusy(error)) throw error
    world.timeline.note(`sync ${near.number}>${far.number} broke off`)
  }
  return crossed
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && error.name === 'IngestBusyError'
}

interface Live extends StoredRecord {
  readonly createdAt: number
}

async function liveRecords(node: SimulatedNode): Promise<Map<string, Live>> {
  const live = new Map<string, Live>()
  await node.call(async ({ store }) => {
    for (const avatar of await store.avatars({ limit: ALL })) {
      const page = await store.records(avatar, { after: 0, limit: ALL })
      for (const record of page?.records ?? []) {
        if (record.status === 'superseded') continue
        const { created_at: createdAt } = JSON.parse(new TextDecoder().decode(record.payload)) as { created_at: number }
        live.set(record.id, { ...record, createdAt })
      }
    }
  })
  return live
}

function indexOf(records: Map<string, Live>) {
  return createMemoryIndex(
    [...records.values()].map(({ id, createdAt }) => ({
      timestamp: createdAt,
      id: Uint8Array.from(Buffer.from(id.slice(2), 'hex')),
    })),
  )
}

function pick(records: Map<string, Live>, ids: readonly Uint8Array[]): SignedRecord[] {
  return ids.map((id) => records.get(`0x${Buffer.from(id).toString('hex')}`)).filter((each) => each !== undefined)
}
