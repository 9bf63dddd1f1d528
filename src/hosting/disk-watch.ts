/**
 * Watches the free space of the disk that holds the data, so that strangers cannot fill it: below one mark the node takes no
 * new avatars, below a lower one it takes no records.
 *
 * Guaranteed: the disk is looked at once every `POLL_MS` at most, which strangers cannot change; a state ends only once the disk has a
 * percentage point more room than its mark, so that the node does not change its mind with every write.
 * Not guaranteed: that nothing is written below the lower mark. Records on their way to the disk still reach it, and the store
 * compacts its files.
 */
import type { Logger, Metrics } from '../observe/types.ts'
import { messageOf } from '../platform/errors.ts'
import type { Environment } from '../platform/environment.ts'
import type { AdmissionRefusal } from './types.ts'

/** `low`: no new avatars. `full`: no records at all. */
export type DiskState = 'ok' | 'low' | 'full'

/** Bytes for this process: what the file system reserves for the administrator counts as neither. */
export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface DiskMarks {
  /** Percent of free space below which the node takes no new avatars; 0: never. */
  readonly newAvatarsPercent: number
  /** The same for all records. */
  readonly writesPercent: number
}

export interface DiskWatch {
  /** Looks at the disk, and from then on regularly. */
  start(): Promise<void>
  stop(): void
  state(): DiskState
  /** Percent of free space with one decimal; undefined while unknown. */
  freePercent(): number | undefined
  /** Why no record is taken now; undefined if records are taken. */
  refusesAll(): AdmissionRefusal | undefined
  /** Why no record of a new avatar is taken now. */
  refusesNew(): AdmissionRefusal | undefined
}

/** At 100 MB/s, which is more than a node writes, 200 MB. */
const POLL_MS = 2_000
const HYSTERESIS_PERCENT = 1
const STATE_NUMBERS: Readonly<Record<DiskState, number>> = { ok: 0, low: 1, full: 2 }

/**
 * @param components.space reads the free space of the disk
 * @param components.onRoom called when the node takes records again that it refused before
 */
export function createDiskWatch(
  components: {
    readonly space: () => Promise<DiskSpace>
    readonly onRoom: () => void
    readonly environment: Pick<Environment, 'timers'>
    readonly logger: Logger
    readonly metrics: Pick<Metrics, 'gauge'>
  },
  { newAvatarsPercent, writesPercent }: DiskMarks,
): DiskWatch {
  const { space, onRoom, environment, logger, metrics } = components
  let last: DiskSpace | undefined
  let state: DiskState = 'ok'
  let cancel = (): void => undefined
  let isStopped = false
  metrics.gauge('disk_free_bytes', 'Free bytes of the disk that holds the data.', () => last?.freeBytes ?? 0)
  metrics.gauge('disk_size_bytes', 'Size of the disk that holds the data.', () => last?.totalBytes ?? 0)
  metrics.gauge(
    'disk_state',
    '0: the node takes records; 1: no records of new avatars; 2: no records, because the disk is nearly full.',
    () => STATE_NUMBERS[state],
  )

  const percent = (): number => (last === undefined ? 100 : (100 * last.freeBytes) / Math.max(1, last.totalBytes))
  const freePercent = (): number => Math.floor(percent() * 10) / 10

  /** A mark that was crossed holds until there is more room than that. */
  function next(): DiskState {
    const isBelow = (mark: number, isCrossed: boolean): boolean =>
      mark > 0 && percent() < mark + (isCrossed ? HYSTERESIS_PERCENT : 0)
    if (isBelow(writesPercent, state === 'full')) return 'full'
    return isBelow(newAvatarsPercent, state !== 'ok') ? 'low' : 'ok'
  }

  async function look(): Promise<void> {
    try {
      last = await space()
    } catch (error) {
      logger.warn({ err: error }, `the node cannot read the free space of its disk: ${messageOf(error)}`)
      return
    }
    const before = state
    state = next()
    if (state === before) return
    const facts = { disk: state, free_percent: freePercent(), free_bytes: last.freeBytes }
    if (state === 'ok') logger.info(facts, 'the disk has room again; the node takes records of new avatars')
    else if (state === 'full') logger.error(facts, FULL_LINE)
    else if (before === 'full')
      logger.warn(facts, 'the disk has some room again; the node takes records, but none of new avatars')
    else logger.warn(facts, LOW_LINE)
    if (STATE_NUMBERS[state] < STATE_NUMBERS[before]) onRoom()
  }

  function poll(): void {
    cancel = environment.timers.after(POLL_MS, () => {
      void look().finally(() => {
        if (!isStopped) poll()
      })
    })
  }

  const refusesAll = (): AdmissionRefusal | undefined => (state === 'full' ? DISK_FULL : undefined)
  return {
    async start() {
      await look()
      if (!isStopped) poll()
    },
    stop() {
      isStopped = true
      cancel()
    },
    state: () => state,
    freePercent: () => (last === undefined ? undefined : freePercent()),
    refusesAll,
    refusesNew: () => refusesAll() ?? (state === 'low' ? DISK_LOW : undefined),
  }
}

const ADVICE = 'Delete files or enlarge the disk; see disk_new_avatars_percent and disk_writes_percent.'
const LOW_LINE = `the disk is getting full; the node takes no records of new avatars. ${ADVICE}`
const FULL_LINE = `the disk is nearly full; the node takes no records. ${ADVICE}`

const DISK_LOW: AdmissionRefusal = {
  code: 'disk_low',
  message:
    'The disk of this node is getting full, so it takes no new avatars. Send this record again later, or use another node.',
  retry: true,
}
const DISK_FULL: AdmissionRefusal = {
  code: 'disk_full',
  message:
    'The disk of this node is nearly full, so it takes no records now. Nothing was stored. Send this record again later, or ' +
    'use another node.',
  retry: true,
}
