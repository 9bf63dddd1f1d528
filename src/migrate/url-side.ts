/**
 * A host by HTTP. It is read page by page in its order of arrival, so that what is read once is not read again: the cursor
 * of the last page is kept, also for the next run, and with `--watch` each look costs one request. Archives hold the same
 * records, but begin at the beginning each time.
 *
 * A host whose store is another one than before, or that has let the avatar go meanwhile, is given all anew.
 *
 * Guaranteed: nothing that the host says is believed; its records go through the staging store's door, and whatever it
 * repeats, alters or never ends is bounded.
 */
import { LRUCache } from 'lru-cache'

import { messageOf } from '../platform/errors.ts'
import type { Environment } from '../platform/environment.ts'
import { RetryBuffer } from '../ingest/retry.ts'
import { parseSignature } from '../record/signature.ts'
import type { SignedRecord } from '../record/types.ts'
import { Batch } from './batch.ts'
import { HostError, MigrateError } from './errors.ts'
import { FaultLog } from './faults.ts'
import * as limits from './limits.ts'
import type { ResumeCursors } from './resume-cursors.ts'
import { Reading } from './reading.ts'
import type { Staging } from './staging.ts'
import type { CarriedPage, CarriedVerdict, Given, HttpHost, Progress, Refusal } from './types.ts'
import type { Side, AvatarStatus, Taken } from './types.ts'
import { pause, throwIfStopped } from './wait.ts'

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

export interface SideComponents {
  readonly environment: Environment
  readonly staging: Staging
  readonly cursors: ResumeCursors
  readonly progress: Progress
  readonly signal: AbortSignal
}

export function createUrlSide(components: SideComponents, host: HttpHost): Side {
  return new UrlSide(components, host)
}

class UrlSide implements Side {
  readonly name: string
  readonly #components: SideComponents
  readonly #host: HttpHost
  readonly #faultLog = new FaultLog()
  readonly #echoes = new LRUCache<string, number>({ max: MAX_ECHOES })
  #cursor: string | null
  #given: number
  #epoch: string
  #taken = 0
  #gave = 0
  #readings = 0

  constructor(components: SideComponents, host: HttpHost) {
    this.name = host.url
    this.#components = components
    this.#host = host
    const place = components.cursors.get(host.url)
    this.#cursor = place?.cursor ?? null
    this.#given = place?.given ?? 0
    this.#epoch = place?.epoch ?? ''
  }

  get faults() {
    return this.#faultLog
  }

  async avatarStatus(): Promise<AvatarStatus | undefined> {
    return this.#call(() => this.#host.avatarStatus(this.#components.staging.avatar))
  }

  async settled(): Promise<void> {
    const sequence = this.#components.staging.reader.lastSequence()
    if (await this.#isSameStore()) this.#given = sequence
    await this.#save()
  }

  follow(changed: () => void, signal: AbortSignal): Promise<void> {
    return this.#host.follow(this.#components.staging.avatar, changed, signal)
  }

  async close(): Promise<void> {
    await this.#save()
  }

  async take({ fromStart = false } = {}): Promise<Taken> {
    const { staging, progress } = this.#components
    if (fromStart) this.#cursor = null
    if (this.#epoch === '') await this.#isSameStore()
    this.#readings += 1
    const reading = new Reading(staging.reader.totals().records)
    let dropped = 0
    const refused: RefusedHere = new RetryBuffer(limits.RETRY_LIMITS, () => (dropped += 1))
    let cursor = this.#cursor
    let digest: string | undefined
    for (let restarts = 0; ;) {
      const page = await this.#call(() => this.#host.records(staging.avatar, cursor))
      if (page === 'expired') {
        restarts += 1
        if (restarts > limits.MAX_RESTARTS) throw this.#unsound('begins its history anew again and again')
        await this.#isSameStore()
        cursor = null
        continue
      }
      if (page.records.length === 0) {
        digest = page.cursor === null ? undefined : page.digest
        if (page.cursor === null) {
          this.#holdsNothing()
          cursor = null
        }
        break
      }
      if (page.cursor === null || page.cursor === cursor) throw this.#unsound('hands out the same page again and again')
      await this.#takePage(page, reading, refused)
      if (reading.isEndless) throw this.#unsound('sends the same records again and again')
      cursor = page.cursor
      progress.taken(this.name, this.#taken)
      // What was not taken must be read again.
      if (this.#faultLog.count + refused.size + dropped === 0) {
        this.#cursor = cursor
        await this.#save()
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
    const isWhole = this.#faultLog.count + refused.size + dropped === 0
    this.#cursor = isWhole ? cursor : null
    return { added: reading.added, digest }
  }

  async #takePage(page: CarriedPage, reading: Reading, refused: RefusedHere): Promise<void> {
    const records: SignedRecord[] = []
    const ids: string[] = []
    for (const carried of page.records) {
      const record = this.#read(carried)
      if (record === undefined) continue
      records.push(record)
      ids.push(carried.id)
    }
    const results = await this.#components.staging.ingest.submit(records, { origin: 'import' })
    for (const [at, { id, status, code, message }] of results.entries()) {
      const record = records[at]
      if (record === undefined) break
      if (status === 'invalid') this.#fault(`${ids[at]}: ${code}: ${message}`)
      else if (id !== ids[at]) this.#fault(`${ids[at]}: it is the record ${id}`)
      if (status === 'refused') refused.add({ record })
      if (id === null || status === 'invalid') continue
      reading.note(status, this.#echoes.get(id) === this.#readings)
      this.#echoes.set(id, this.#readings)
    }
    this.#taken = this.#taken + reading.newlyAdded()
  }

  /** The bytes of a record, undefined and noted where it has none. */
  #read({ payload, signature, id }: CarriedPage['records'][number]): SignedRecord | undefined {
    try {
      return { payload: Buffer.from(payload, 'utf8'), signature: parseSignature(signature) }
    } catch (error) {
      this.#fault(`${id}: ${messageOf(error)}`)
      return undefined
    }
  }

  #fault(what: string): void {
    this.#faultLog.note(what)
    if (this.#faultLog.count > limits.MAX_FAULTS)
      throw this.#unsound(`hands out more than ${limits.MAX_FAULTS} bad records`)
  }

  async give({ fromStart = false } = {}): Promise<Given> {
    const { reader } = this.#components.staging
    if (fromStart) this.#holdsNothing()
    await this.#isSameStore()
    if (reader.lastSequence() <= this.#given) return { added: 0, brought: 0, refused: new Map() }
    let added = 0
    for (;;) {
      const sweep = await this.#sweep()
      added += sweep.added
      const isWaiting = [...sweep.refused.keys()].some((code) => WAITING_CODES.has(code))
      if (!isWaiting || sweep.added === 0) return { added, brought: 0, refused: sweep.refused }
    }
  }

  /** Offers everything from the place on up to which the host has all. */
  async #sweep(): Promise<{ added: number; refused: Map<string, Refusal> }> {
    const { staging, signal, progress } = this.#components
    const refused = new Map<string, Refusal>()
    const batch = new Batch()
    let added = 0
    const flush = async (): Promise<void> => {
      const { records, sequence } = batch.take()
      if (records.length > 0) {
        const verdicts = await this.#call(() => this.#host.submit(records))
        for (const verdict of verdicts) added += this.#judge(verdict, refused)
        this.#gave += verdicts.filter(({ status }) => status === 'stored' || status === 'pending').length
        progress.given(this.name, this.#gave)
      }
      if (refused.size === 0 && sequence > this.#given) {
        this.#given = sequence
        await this.#save()
      }
    }
    for (let after = this.#given; ;) {
      throwIfStopped(signal)
      const read = await staging.reader.records(staging.avatar, { after, limit: limits.READ_RECORDS })
      if (read === undefined || read.records.length === 0) break
      for (const record of read.records) {
        if (batch.isFull(record)) await flush()
        after = record.sequence
        const isDone = record.status === 'superseded' || this.#echoes.has(record.id)
        batch.add(isDone ? undefined : record, after)
      }
      if ([...refused.keys()].some((code) => CLOSED_CODES.has(code))) return { added, refused }
    }
    await flush()
    return { added, refused }
  }

  /** @returns 1 where the record was new to the host */
  #judge({ status, code = 'refused', message = '', retry = false }: CarriedVerdict, refused: Map<string, Refusal>) {
    if (status === 'stored' || status === 'pending') return 1
    if (status === 'duplicate' || status === 'superseded') return 0
    const known = refused.get(code)
    if (known === undefined) refused.set(code, { count: 1, message, retry: status === 'refused' && retry })
    else known.count += 1
    return 0
  }

  /** Whether the host's store is the one that it had; of another, what is remembered says nothing. */
  async #isSameStore(): Promise<boolean> {
    const { epoch } = await this.#call(() => this.#host.status())
    if (epoch === this.#epoch) return true
    const isFirst = this.#epoch === ''
    this.#epoch = epoch
    this.#holdsNothing()
    return isFirst
  }

  #holdsNothing(): void {
    this.#given = 0
    this.#echoes.clear()
  }

  async #save(): Promise<void> {
    const place = { cursor: this.#cursor, given: this.#given, epoch: this.#epoch }
    await this.#components.cursors.set(this.name, place)
  }

  /** Calls the host; waits while it is busy, and a little where it cannot be reached. */
  async #call<T>(call: () => Promise<T>): Promise<T> {
    const { environment, signal } = this.#components
    let failures = 0
    for (let waits = 0; ;) {
      throwIfStopped(signal)
      try {
        return await call()
      } catch (error) {
        if (!(error instanceof HostError)) throw error
        const delayMs = error.isUnreachable ? limits.RETRY_MS[failures++] : undefined
        const seconds = error.retry?.afterSeconds ?? 1
        const isBusy = error.retry !== null && waits++ < limits.MAX_BUSY_WAITS
        if (delayMs !== undefined) await pause(environment.timers, delayMs, signal)
        else if (isBusy) await pause(environment.timers, Math.min(seconds * 1_000, limits.MAX_BUSY_WAIT_MS), signal)
        else throw new MigrateError(error.isUnreachable ? 'unreachable' : 'failed', error.message, { cause: error })
      }
    }
  }

  #unsound(what: string): MigrateError {
    return new MigrateError('source_unsound', `${this.name} ${what}; it is read no further. What was sound is kept.`)
  }
}
