/** Repairs rows that fail their check by rebuilding an avatar's derived rows from its records. */
import type { Avatar } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Compactor } from './compactor.ts'
import { countAll } from './count-all.ts'
import { walk, walkKeys, writeDurably } from './database.ts'
import type { CorruptRowError, RecordOfUnknown } from './errors.ts'
import * as keys from './keys.ts'
import { del, put } from './level.ts'
import { totalsOperation, uncountedTotals } from './totals.ts'
import { avatarOf } from './reader.ts'
import { rebuildAvatar, restoreArrivals } from './rebuild.ts'
import type { Rebuilt } from './types.ts'
import type { WriterComponents, WriterState } from './writer-state.ts'

export type RowRepair = ReturnType<typeof createRowRepair>

interface RowRepairParts extends WriterComponents {
  readonly network: string
  readonly archive: boolean
  readonly keepsErased: boolean
  readonly state: WriterState
  readonly compactor: Compactor
}

/** Its functions must not run at the same time as another write. */
export function createRowRepair(parts: RowRepairParts) {
  const { engine, environment, logger, metrics, network, archive, keepsErased, state, compactor } = parts
  const { db } = state

  /** Rebuilds the derived rows of one avatar, or of all. */
  async function rebuild(avatar?: Avatar): Promise<Rebuilt> {
    let records = 0
    let quarantined = avatar === undefined ? await restoreArrivals(db, environment.clock.now()) : 0
    const avatars = avatar === undefined ? await everyAvatar() : [avatar]
    try {
      for (const each of avatars) {
        const rebuilt = await remake(each)
        records += rebuilt.records
        quarantined += rebuilt.quarantined
      }
    } finally {
      await recountAll()
    }
    return { records, quarantined }
  }

  async function repairRow(error: CorruptRowError): Promise<void> {
    const { owner, row, claim } = error
    metrics.corruption(row)
    const avatar = 'avatar' in owner ? owner.avatar : await ownerOf(owner)
    if (avatar === undefined) {
      await recountAll()
      return logger.warn({ row, err: error }, 'the node deleted index rows of a record that the store does not have')
    }
    const { records, quarantined } = await remake(avatar, claim)
    await recountAll()
    const facts = { avatar, row, records, quarantined, err: error }
    logger.warn(facts, 'a stored row failed its check; the node rebuilt the avatar from its records')
  }

  /** Finds the avatar of a record, or deletes the rows that name a record of no avatar. */
  async function ownerOf({ record: id, createdAt }: RecordOfUnknown): Promise<Avatar | undefined> {
    const known = avatarOf(db, id)
    if (known !== undefined) return known
    for await (const step of walkKeys(db, keys.tableRange('h'))) {
      for (const key of step) if (keys.placeInKey(key).id === id) return keys.avatarInKey(key)
    }
    const orderRow = createdAt === undefined ? [] : [del(keys.orderKey(createdAt, id))]
    await writeDurably(db, [del(keys.idKey(id)), ...orderRow])
    return undefined
  }

  /** Finds all avatars with records. The `b` rows must be complete. */
  async function everyAvatar(): Promise<Avatar[]> {
    const avatars: Avatar[] = []
    for (let range = keys.tableRange('b'); ;) {
      let found: Avatar | undefined
      for await (const [key] of walk(db, range, { limit: 1 })) found = keys.avatarInKey(key)
      if (found === undefined) return avatars
      avatars.push(found)
      range = { gte: keys.tableRange('b', found).lt, lt: range.lt }
    }
  }

  /** Rebuilds the rows of an avatar. The totals and the sync index must be computed again afterwards. */
  async function remake(avatar: Avatar, claim?: NamespaceName): Promise<Rebuilt> {
    if (compactor.isForgetting(avatar)) return { records: 0, quarantined: 0 }
    state.entries.evict(avatar)
    const rebuilt = await rebuildAvatar(db, avatar, {
      verify: (record) => verifyRecord(engine, network, record, { recoveryByte: false }),
      nowMs: environment.clock.now(),
      claim,
    })
    // The task itself looks at what is kept, by `archive`, quotas and erasure.
    const hasGarbage = rebuilt.hasHistory && !(archive && keepsErased)
    const task = hasGarbage ? [put(keys.taskKey('g', avatar))] : []
    // If the process stops before the totals are counted again, the next opening counts them.
    const gone = [del(keys.taskKey('u', avatar)), uncountedTotals(state.totals.lastSequence)]
    await writeDurably(db, [...rebuilt.operations, ...task, ...gone])
    compactor.rebuilt(avatar)
    if (hasGarbage) compactor.wake()
    return rebuilt
  }

  async function recountAll(): Promise<void> {
    try {
      state.totals = { lastSequence: state.totals.lastSequence, ...(await countAll(db)) }
      await writeDurably(db, [totalsOperation(state.totals)])
    } finally {
      state.order.begin()
    }
  }

  return { rebuild, repairRow }
}
