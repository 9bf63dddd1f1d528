/**
 * The store on PostgreSQL. Several processes may use one database at the same time.
 *
 * Guarantees:
 * - A commit is complete or absent, and durable on the server once it resolves.
 * - Reads see committed data only, each of one moment.
 * - Listeners hear of every commit of every process, once and in the order of the feed.
 */
import { verifyRecord } from '../../record/verify.ts'
import { messageOf } from '../../platform/errors.ts'
import { toHex } from '../bytes.ts'
import { StoreError } from '../errors.ts'
import { Listeners } from '../listeners.ts'
import { NO_QUOTAS } from '../quotas.ts'
import type { Quotas, RebuildableStore } from '../types.ts'
import type { WriterComponents } from '../writer-state.ts'
import { ChangeFeed, readEntries, withSummaries, type StateRow } from './change-feed.ts'
import { PostgresDatabase, storeError } from './database.ts'
import { openLinkedView, readLinkedFrom, readLinks } from './linked-view.ts'
import { migrate } from './migrate.ts'
import {
  openExport,
  readAvatars,
  readClaims,
  readHistory,
  readMember,
  readRecord,
  readRecords,
  readSummary,
} from './reader.ts'
import { syncSource } from './sync-source.ts'
import { PostgresTasks } from './tasks.ts'
import { openContent, openView } from './view.ts'
import { PostgresWriter, type Rules } from './writer.ts'

const EPOCH_BYTES = 8
/** Entries that the change feed keeps. */
const FEED_ENTRIES = 1_000_000
/** Entries above the limit before the feed is trimmed. */
const TRIM_ENTRIES = 10_000

export interface PostgresOptions {
  /** `postgres://…`. Never logged: it may contain a password. */
  readonly url: string
  readonly network: string
  /** As in `StoreOptions`. */
  readonly archive?: boolean | undefined
  readonly keepsErased?: boolean | undefined
  readonly quotas?: Quotas
  readonly feedEntries?: number
}

export interface PostgresStore extends RebuildableStore {
  /** For metrics. */
  load(): {
    /** Open connections to PostgreSQL. */
    readonly connections: number
    /** Callers that wait for a connection. */
    readonly waiting: number
    /** Transactions that were run again, by reason. */
    readonly retries: ReadonlyMap<string, number>
  }
}

/**
 * Opens the store in a database, and makes its tables if there are none.
 *
 * @throws StoreError `unavailable`, `schema_newer`, `wrong_network`, `unreadable`
 */
export async function openPostgresStore(
  components: WriterComponents,
  options: PostgresOptions,
): Promise<PostgresStore> {
  const { environment, logger, metrics, engine } = components
  const { network, quotas = NO_QUOTAS, feedEntries = FEED_ENTRIES } = options
  const database = new PostgresDatabase(components, options.url)
  try {
    const state = await prepare(database, components, options)
    const rules = (): Rules => ({ archive: state.archive, keepsErased: state.keeps_erased, quotas })
    const listeners = new Listeners(logger)
    const feed = new ChangeFeed({ database, environment, logger, listeners }, state)
    const retries = new Map<string, number>()
    const pause = (ms: number) => new Promise<void>((resolve) => environment.timers.after(ms, resolve))
    const writer = new PostgresWriter({
      database,
      rules,
      totals: () => feed.totals,
      now: () => environment.clock.now(),
      pause,
      noteRetry: (kind) => retries.set(kind, (retries.get(kind) ?? 0) + 1),
    })
    const refresh = (): Promise<void> => feed.advance()
    const verify = (record: Parameters<typeof verifyRecord>[2]) =>
      verifyRecord(engine, network, record, { recoveryByte: false })
    const tasks = new PostgresTasks({ database, writer, logger, rules, totals: () => feed.totals, refresh, verify })

    async function trim(): Promise<void> {
      const floor = feed.position - feedEntries
      if (feed.position - feed.floor <= feedEntries + TRIM_ENTRIES) return
      await database.rows('raiseFloor', [floor])
      await database.rows('trimFeed', [floor])
      await feed.advance()
    }

    /** Runs a step after a commit. Its failure changes nothing for the commit, which is durable. */
    async function after(what: string, step: () => void | Promise<void>): Promise<void> {
      try {
        await step()
      } catch (error) {
        logger.warn({ err: error }, `${what} failed after a commit, which is durable; it is done later`)
      }
    }

    feed.start()
    tasks.wake()
    return {
      load: () => ({ connections: database.connections, waiting: database.waiting, retries }),
      sync: syncSource(database),
      get epoch() {
        return feed.epoch
      },
      lastSequence: () => feed.position,
      hasReached: async (sequence) => {
        if (sequence > feed.position) await feed.advance()
        return sequence <= feed.position
      },
      totals() {
        const { avatars, records, keptBytes } = feed.totals
        return { avatars, records, bytes: keptBytes }
      },
      damage: () => undefined,
      summary: (avatar) => readSummary(database, avatar),
      openView: (avatar) => openView(database, avatar),
      openContent: (avatar, platform, identity) => openContent(database, avatar, { platform, identity }),
      openLinkedView: (avatar, isShown) => openLinkedView(database, avatar, { isShown, only: false }),
      openLinkedContent: (avatar, isShown) => openLinkedView(database, avatar, { isShown, only: true }),
      links: (avatar) => readLinks(database, avatar),
      linkedFrom: (avatar, page) => readLinkedFrom(database, avatar, page),
      member: (avatar, namespace, key) => readMember(database, avatar, namespace, key),
      record: (id) => readRecord(database, id),
      records: (avatar, page) => readRecords(database, avatar, page),
      history: (avatar, page) => readHistory(database, avatar, page),
      exportSnapshot: () => openExport(database),
      avatars: (page) => readAvatars(database, page),
      claims: (platform, identity, page) => readClaims(database, { platform, identity }, page),
      async events({ after: from, avatar, limit }) {
        if (from > feed.position) await feed.advance()
        if (from > feed.position || (avatar === undefined && from < feed.floor)) return 'reset'
        for (let next = from; ;) {
          const page = await readEntries(database, next, limit, avatar)
          const { events } = await withSummaries(database, page)
          const last = page.at(-1)
          // Entries of avatars that were deleted are left out; an empty page would mean the end.
          if (events.length > 0 || last === undefined) return events
          next = last.sequence
        }
      },
      onCommit: (listener) => listeners.add(listener),
      async commit(records) {
        const startedMs = environment.clock.now()
        const { results, lastSequence, hasHistory } = await writer.commit(records)
        if (lastSequence === 0) return results
        await after('telling listeners', () => feed.advance())
        feed.hint()
        metrics.commit((environment.clock.now() - startedMs) / 1_000, records.length)
        if (hasHistory) tasks.wake()
        await after('trimming the change feed', trim)
        return results
      },
      rebuild: (avatar) => tasks.rebuild(avatar),
      forget: (avatar) => tasks.forget(avatar),
      tasksDone: () => tasks.idle(),
      async close() {
        await tasks.stop()
        await feed.stop()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw openingError(storeError(error))
  }
}

/** No later request tries again: the node does not start. */
function openingError(error: unknown): unknown {
  if (!(error instanceof StoreError) || error.code !== 'unavailable' || error.cause === undefined) return error
  const message =
    `Cannot use the database: ${messageOf(error.cause)}. Check that the server runs, and the URL of "store": host, port, ` +
    'user, password, database. Then start the node again.'
  return new StoreError('unavailable', message, { cause: error.cause })
}

/** Brings the tables up to date and returns the store's row. */
async function prepare(
  database: PostgresDatabase,
  { environment }: WriterComponents,
  { network, archive, keepsErased }: PostgresOptions,
): Promise<StateRow> {
  const client = await database.client()
  try {
    await migrate(client)
  } finally {
    await client.end()
  }
  const epoch = toHex(environment.random.bytes(EPOCH_BYTES)).slice(2)
  await database.rows('begin', [network, epoch, archive ?? false, keepsErased ?? true])
  const [state] = await database.rows<StateRow>('state')
  if (state === undefined)
    throw new StoreError('unreadable', 'The table "store" of the database has no row. Restore a backup.')
  if (state.network !== network) {
    throw new StoreError(
      'wrong_network',
      `This database belongs to the network "${state.network}", not to "${network}". Start with that --network, or choose ` +
        'another database.',
    )
  }
  const rules = [archive ?? state.archive, keepsErased ?? state.keeps_erased] as const
  await database.rows('setRules', rules)
  return { ...state, archive: rules[0], keeps_erased: rules[1] }
}
