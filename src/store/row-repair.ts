/** Repairs rows that fail their check by rebuilding an avatar's derived rows from its records. */
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, RecordId } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import type { NamespaceName } from '../state/content.ts'
import { countAll } from './count-all.ts'
import type { Counts } from './counts.ts'
import { NO_VALUE, walk, writeDurably } from './database.ts'
import { CorruptRowError, CorruptLocationError } from './errors.ts'
import * as keys from './keys.ts'
import type { Database, Operation } from './level.ts'
import { rebuildAvatar } from './rebuild.ts'
import type { Compactor } from './compactor.ts'
import type { Rebuilt } from './types.ts'

export type Corruption = CorruptRowError | CorruptLocationError

export function isCorruption(error: unknown): error is Corruption {
  return error instanceof CorruptRowError || error instanceof CorruptLocationError
}

interface RowRepairParts {
  readonly db: Database
  readonly environment: Pick<Environment, 'clock'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'corruption'>
  readonly engine: SignatureEngine
  readonly network: string
  readonly archive: boolean
  readonly compactor: Compactor
  readonly evict: (avatar: Avatar) => void
  readonly recounted: (counts: Counts & { readonly avatars: number }) => Promise<void>
  readonly reindex: () => Promise<void>
}

/** Its methods must not run at the same time as another write. */
export class RowRepair {
  readonly #parts: RowRepairParts

  constructor(parts: RowRepairParts) {
    this.#parts = parts
  }

  /** Rebuilds the derived rows of one avatar, or of all. */
  async rebuild(avatar?: Avatar): Promise<Rebuilt> {
    const avatars = avatar === undefined ? await this.#everyAvatar() : [avatar]
    let records = 0
    let quarantined = 0
    try {
      for (const each of avatars) {
        const rebuilt = await this.#remake(each)
        records += rebuilt.records
        quarantined += rebuilt.quarantined
      }
    } finally {
      await this.#recountAll()
    }
    return { records, quarantined }
  }

  async repairRow(error: Corruption): Promise<void> {
    const { logger, metrics } = this.#parts
    const row = error instanceof CorruptRowError ? error.row : 'location'
    metrics.corruption(row)
    const avatar = error instanceof CorruptRowError ? error.avatar : await this.#ownerOf(error.id)
    if (avatar === undefined) {
      logger.warn(
        { row, err: error },
        'a stored location row failed its check and was deleted: no avatar has its record',
      )
      return
    }
    const claim = error instanceof CorruptRowError ? error.claim : undefined
    const { records, quarantined } = await this.#rebuildOne(avatar, claim)
    logger.warn(
      { avatar, row, records, quarantined, err: error },
      'a stored row failed its check; the node rebuilt the avatar from its records',
    )
  }

  /** Searches all histories for a record whose location row is damaged; deletes the row if no history has the record. */
  async #ownerOf(id: RecordId): Promise<Avatar | undefined> {
    for await (const [key] of walk(this.#parts.db, keys.tableRange('h'))) {
      if (keys.placeInKey(key).id === id) return keys.avatarInKey(key)
    }
    await writeDurably(this.#parts.db, [{ type: 'del', key: keys.idKey(id) }])
    return undefined
  }

  /** Finds all avatars with records, without using derived rows. */
  async #everyAvatar(): Promise<Avatar[]> {
    const avatars: Avatar[] = []
    for (let range = keys.tableRange('r'); ;) {
      let found: Avatar | undefined
      for await (const [key] of walk(this.#parts.db, range, { limit: 1 })) found = keys.avatarInKey(key)
      if (found === undefined) return avatars
      avatars.push(found)
      range = { gte: keys.tableRange('r', found).lt, lt: range.lt }
    }
  }

  async #rebuildOne(avatar: Avatar, claim?: NamespaceName): Promise<Rebuilt> {
    const rebuilt = await this.#remake(avatar, claim)
    await this.#recountAll()
    return rebuilt
  }

  /** Rebuilds the rows of an avatar. The totals and the sync index must be computed again afterwards. */
  async #remake(avatar: Avatar, claim?: NamespaceName): Promise<Rebuilt> {
    if (this.#parts.compactor.isForgetting(avatar)) return { records: 0, quarantined: 0 }
    const { engine, environment, network } = this.#parts
    this.#parts.evict(avatar)
    const rebuilt = await rebuildAvatar(this.#parts.db, avatar, {
      verify: (record) => verifyRecord(engine, network, record, { recoveryByte: false }),
      nowMs: environment.clock.now(),
      claim,
    })
    const operations: Operation[] = [...rebuilt.operations, { type: 'del', key: keys.taskKey('u', avatar) }]
    const hasGarbage = rebuilt.hasHistory && !this.#parts.archive
    if (hasGarbage) operations.push({ type: 'put', key: keys.taskKey('g', avatar), value: NO_VALUE })
    // No stored totals until they are counted again: if the process stops before, the next opening counts them.
    await writeDurably(this.#parts.db, [...operations, { type: 'del', key: keys.metaKey('totals') }])
    this.#parts.compactor.rebuilt(avatar)
    if (hasGarbage) this.#parts.compactor.wake()
    return rebuilt
  }

  async #recountAll(): Promise<void> {
    try {
      await this.#parts.recounted(await countAll(this.#parts.db))
    } finally {
      await this.#parts.reindex()
    }
  }
}
