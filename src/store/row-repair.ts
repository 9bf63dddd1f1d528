/** Repairs rows that fail their check by rebuilding an avatar's derived rows from its records. */
import type { Avatar, RecordId } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Compactor } from './compactor.ts'
import { countAll } from './count-all.ts'
import { walk, writeDurably } from './database.ts'
import type { CorruptRowError } from './errors.ts'
import * as keys from './keys.ts'
import { del, put } from './level.ts'
import { totalsOperation } from './meta.ts'
import { rebuildAvatar } from './rebuild.ts'
import type { Rebuilt } from './types.ts'
import type { WriterComponents, WriterState } from './writer-state.ts'

export type RowRepair = ReturnType<typeof createRowRepair>

interface RowRepairParts extends WriterComponents {
  readonly network: string
  readonly archive: boolean
  readonly state: WriterState
  readonly compactor: Compactor
}

/** Its functions must not run at the same time as another write. */
export function createRowRepair(parts: RowRepairParts) {
  const { engine, environment, logger, metrics, network, archive, state, compactor } = parts
  const { db } = state

  /** Rebuilds the derived rows of one avatar, or of all. */
  async function rebuild(avatar?: Avatar): Promise<Rebuilt> {
    const avatars = avatar === undefined ? await everyAvatar() : [avatar]
    let records = 0
    let quarantined = 0
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
    const avatar = 'avatar' in owner ? owner.avatar : await ownerOf(owner.record)
    if (avatar === undefined) {
      const facts = { row, err: error }
      return logger.warn(facts, 'a stored location row failed its check and was deleted: no avatar has its record')
    }
    const { records, quarantined } = await remake(avatar, claim)
    await recountAll()
    const facts = { avatar, row, records, quarantined, err: error }
    logger.warn(facts, 'a stored row failed its check; the node rebuilt the avatar from its records')
  }

  /** Searches all histories for a record whose location row is damaged; deletes the row if no history has the record. */
  async function ownerOf(id: RecordId): Promise<Avatar | undefined> {
    for await (const [key] of walk(db, keys.tableRange('h'))) {
      if (keys.placeInKey(key).id === id) return keys.avatarInKey(key)
    }
    await writeDurably(db, [del(keys.idKey(id))])
    return undefined
  }

  /** Finds all avatars with records, without using derived rows. */
  async function everyAvatar(): Promise<Avatar[]> {
    const avatars: Avatar[] = []
    for (let range = keys.tableRange('r'); ;) {
      let found: Avatar | undefined
      for await (const [key] of walk(db, range, { limit: 1 })) found = keys.avatarInKey(key)
      if (found === undefined) return avatars
      avatars.push(found)
      range = { gte: keys.tableRange('r', found).lt, lt: range.lt }
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
    const hasGarbage = rebuilt.hasHistory && !archive
    const task = hasGarbage ? [put(keys.taskKey('g', avatar))] : []
    // No stored totals until they are counted again: if the process stops before, the next opening counts them.
    const gone = [del(keys.taskKey('u', avatar)), del(keys.metaKey('totals'))]
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
