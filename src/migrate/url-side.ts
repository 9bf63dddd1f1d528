/**
 * A host by HTTP. It is read page by page in its order of arrival, so that what is read once is not read again: the cursor
 * of the last page is kept, also for the next run, and with `--watch` each look costs one request. Archives hold the same
 * records, but begin at the beginning each time.
 *
 * A host that has another store than before, or has removed the avatar meanwhile, is sent everything again.
 *
 * Guaranteed: nothing that the host says is trusted. The staging store verifies its records, and what the host repeats, alters
 * or never ends is bounded.
 */
import { LRUCache } from 'lru-cache'

import type { RecordAnswer, RecordsPage, SubmitAnswer } from '../client/answers.ts'
import { messageOf } from '../platform/errors.ts'
import { RetryBuffer } from '../ingest/retry.ts'
import type { IngestResult } from '../ingest/types.ts'
import { parseSignature } from '../record/signature.ts'
import type { SignedRecord } from '../record/types.ts'
import { Batch } from './batch.ts'
import { MigrateError } from './errors.ts'
import { FaultLog } from './faults.ts'
import { callHost, type CallComponents } from './host-call.ts'
import * as limits from './limits.ts'
import type { ResumeCursor, ResumeCursors } from './resume-cursors.ts'
import { Reading } from './reading.ts'
import type { Staging } from './staging.ts'
import type { Given, HttpHost, Refusal, Side, Taken } from './types.ts'
import { throwIfStopped } from './wait.ts'

/** Ids that the host handed out, with the reading in which it last did; they need not be given back to it: about 10 MB. */
const MAX_ECHOES = 65_536
/**
 * Codes of refusals that depend on other records of the avatar: offered again once those are there. A quota is one of
 * them, for a snapshot that frees more than it takes always gets in.
 */
const WAITING_CODES: ReadonlySet<string> = new Set([
  'too_many_pending',
  'too_many_incomplete',
  'avatar_quota',
  'node_quota',
])
/** Codes that no other record of the avatar changes: the first batch tells enough. */
const CLOSED_CODES: ReadonlySet<string> = new Set(['not_hosted', 'blocked'])

/** Sound records that the staging store cannot take yet, because too many others of the avatar wait. */
type RefusedHere = RetryBuffer<{ readonly record: SignedRecord }>

export function createUrlSide(
  components: CallComponents & { readonly staging: Staging; readonly cursors: ResumeCursors },
  host: HttpHost,
): Side {
  const { staging, cursors, progress } = components
  const name = host.url
  const faults = new FaultLog()
  const echoes = new LRUCache<string, number>({ max: MAX_ECHOES })
  /** Where the next reading and the next giving begin, and the epoch of the host's store. */
  const position: { -readonly [key in keyof ResumeCursor]: ResumeCursor[key] } = {
    ...{ cursor: null, given: 0, epoch: '' },
    ...cursors.get(name),
  }
  let taken = 0
  let gave = 0
  let readings = 0

  async function settled(): Promise<void> {
    const sequence = staging.reader.lastSequence()
    if (await isSameStore()) position.given = sequence
    await save()
  }

  async function take({ fromStart = false } = {}): Promise<Taken> {
    if (fromStart) position.cursor = null
    if (position.epoch === '') await isSameStore()
    readings += 1
    const reading = new Reading(staging.reader.totals().records)
    let dropped = 0
    const refused: RefusedHere = new RetryBuffer(limits.RETRY_LIMITS, () => (dropped += 1))
    let { cursor } = position
    let digest: string | undefined
    for (let restarts = 0; ;) {
      const page = await call(() => host.records(staging.avatar, cursor))
      if (page === 'expired') {
        restarts += 1
        if (restarts > limits.MAX_RESTARTS) throw unsound('restarts its history again and again')
        await isSameStore()
        cursor = null
        continue
      }
      if (page.records.length === 0) {
        digest = page.cursor === null ? undefined : page.digest
        if (page.cursor === null) {
          holdsNothing()
          cursor = null
        }
        break
      }
      if (page.cursor === null || page.cursor === cursor) throw unsound('hands out the same page again and again')
      await takePage(page, reading, refused)
      if (reading.isEndless) throw unsound('sends the same records again and again')
      cursor = page.cursor
      progress('read from', name, taken)
      // What was not taken must be read again.
      if (faults.count + refused.size + dropped === 0) {
        position.cursor = cursor
        await save()
      }
    }
    await refused.offerAgain(async (items) => {
      const records = items.map(({ record }) => record)
      const results = await staging.ingest.submit(records, { origin: 'import' })
      for (const [at, item] of items.entries()) {
        const status = results[at]?.status
        if (status === 'refused') refused.add(item)
        if (status === 'stored' || status === 'pending') reading.added += 1
      }
    })
    position.cursor = faults.count + refused.size + dropped === 0 ? cursor : null
    return { added: reading.added, digest }
  }

  async function takePage(page: RecordsPage, reading: Reading, refused: RefusedHere): Promise<void> {
    const read = page.records.flatMap((each) => bytesOf(each) ?? [])
    const results = await staging.ingest.submit(read, { origin: 'import' })
    for (const [at, record] of read.entries()) {
      const { id, status, code, message } = results[at] as IngestResult
      if (status === 'invalid') fault(`${record.id}: ${code}: ${message}`)
      else if (id !== record.id) fault(`${record.id}: it is the record ${id}`)
      if (status === 'refused') refused.add({ record })
      if (id === null || status === 'invalid') continue
      reading.note(status, echoes.get(id) === readings)
      echoes.set(id, readings)
    }
    taken += reading.newlyAdded()
  }

  /** The bytes of a record; undefined, and counted as a fault, if it has none. */
  function bytesOf({ payload, signature, id }: RecordAnswer): (SignedRecord & { readonly id: string }) | undefined {
    try {
      return { id, payload: Buffer.from(payload, 'utf8'), signature: parseSignature(signature) }
    } catch (error) {
      fault(`${id}: ${messageOf(error)}`)
      return undefined
    }
  }

  function fault(what: string): void {
    faults.note(what)
    if (faults.count > limits.MAX_FAULTS) throw unsound(`hands out more than ${limits.MAX_FAULTS} bad records`)
  }

  async function give({ fromStart = false } = {}): Promise<Given> {
    const { reader } = staging
    if (fromStart) holdsNothing()
    await isSameStore()
    if (reader.lastSequence() <= position.given) return { added: 0, brought: 0, refused: new Map() }
    let added = 0
    for (;;) {
      const swept = await sweep()
      added += swept.added
      const isWaiting = [...swept.refused.keys()].some((code) => WAITING_CODES.has(code))
      if (!isWaiting || swept.added === 0) return { added, brought: 0, refused: swept.refused }
    }
  }

  /** Offers everything after the sequence up to which the host has all. */
  async function sweep(): Promise<{ added: number; refused: Map<string, Refusal> }> {
    const refused = new Map<string, Refusal>()
    const batch = new Batch()
    let added = 0
    const flush = async (): Promise<void> => {
      const { records, sequence } = batch.take()
      if (records.length > 0) {
        const verdicts = await call(() => host.submit(records))
        for (const verdict of verdicts) added += judge(verdict, refused)
        gave += verdicts.filter(({ status }) => status === 'stored' || status === 'pending').length
        progress('sent to', name, gave)
      }
      if (refused.size === 0 && sequence > position.given) {
        position.given = sequence
        await save()
      }
    }
    for (let after = position.given; ;) {
      throwIfStopped(components.signal)
      const read = await staging.reader.records(staging.avatar, { after, limit: limits.READ_RECORDS })
      if (read === undefined || read.records.length === 0) break
      for (const record of read.records) {
        if (batch.isFull(record)) await flush()
        after = record.sequence
        const isDone = record.status === 'superseded' || echoes.has(record.id)
        batch.add(isDone ? undefined : record, after)
      }
      if ([...refused.keys()].some((code) => CLOSED_CODES.has(code))) return { added, refused }
    }
    await flush()
    return { added, refused }
  }

  /** @returns 1 where the record was new to the host */
  function judge(
    { status, code = 'refused', message = '', retry = false }: SubmitAnswer,
    refused: Map<string, Refusal>,
  ) {
    if (status === 'stored' || status === 'pending') return 1
    if (status === 'duplicate' || status === 'superseded') return 0
    const known = refused.get(code)
    if (known === undefined) refused.set(code, { count: 1, message, retry: status === 'refused' && retry })
    else known.count += 1
    return 0
  }

  /** Whether the host has the same store as before. If not, this forgets what the host held. */
  async function isSameStore(): Promise<boolean> {
    const { epoch } = await call(() => host.status())
    if (epoch === position.epoch) return true
    const isFirst = position.epoch === ''
    position.epoch = epoch
    holdsNothing()
    return isFirst
  }

  function holdsNothing(): void {
    position.given = 0
    echoes.clear()
  }

  async function save(): Promise<void> {
    await cursors.set(name, { ...position })
  }

  function call<T>(run: () => Promise<T>): Promise<T> {
    return callHost(components, name, run)
  }

  function unsound(what: string): MigrateError {
    return new MigrateError('source_unsound', `${name} ${what}; it is read no further. What was sound is kept.`)
  }

  return {
    name,
    faults,
    take,
    give,
    settled,
    avatarStatus: () => call(() => host.avatarStatus(staging.avatar)),
    follow: (changed, stopped) => host.follow(staging.avatar, changed, stopped),
    close: save,
  }
}
