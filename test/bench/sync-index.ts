import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Level } from 'level'
import { idText, orderKey } from '../../src/store/keys.ts'
import { OrderIndex } from '../../src/store/order-index.ts'
import type { SyncSnapshot } from '../../src/store/types.ts'
import { encodeSequence } from '../../src/store/rows.ts'
import { seal } from '../../src/store/seal.ts'
import { MAX_NEGENTROPY_BYTES } from '../../src/sync/limits.ts'
import { Negentropy } from '../../src/negentropy/negentropy.ts'
import type { Reconciled } from '../../src/negentropy/negentropy.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { median } from './report.ts'
import type { Bench, Row } from './report.ts'

const RECORDS = 1_000_000
/** Each store lacks half of them. */
const DIFFERENCES = 10
const ROWS_A_BATCH = 10_000
const FIRST_CREATED_AT = 1_780_000_000
/** Bounds of ranges are chosen a little at random, so no run is as the other. */
const RUNS = 5

interface Side {
  readonly db: Level<Uint8Array, Uint8Array>
  readonly index: OrderIndex
}

export const syncIndex: Bench = {
  name: 'sync-index',
  about:
    `reconciliation of two stores of ${RECORDS.toLocaleString('en')} records that differ by ${DIFFERENCES}; ` +
    `the rows of the index are made up, without records or signatures, and both sides share one thread; of ${RUNS} runs`,
  async run() {
    const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-bench-sync-'))
    try {
      const rows: Row[] = []
      const left = await open(join(folder, 'left'))
      const right = await open(join(folder, 'right'))
      await fill(left.db, (number) => !isLacking(number, 0))
      await fill(right.db, (number) => !isLacking(number, 1))

      const before = memoryBytes()
      const started = performance.now()
      left.index.begin()
      await left.index.ready()
      rows.push({ measure: 'index counted anew at the start', value: (performance.now() - started) / 1000, unit: 's' })
      rows.push({ measure: 'memory of the index', value: (memoryBytes() - before) / RECORDS, unit: 'bytes/record' })
      right.index.begin()
      await right.index.ready()

      // The first of each warms up.
      await reconcile(left, left)
      rows.push(...(await measured('equal', left, left, 0)))
      await reconcile(left, right)
      rows.push(...(await measured(`${DIFFERENCES} differences`, left, right, DIFFERENCES)))
      for (const { db } of [left, right]) await db.close()
      return rows
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

async function measured(what: string, left: Side, right: Side, expected: number): Promise<Row[]> {
  const runs: Awaited<ReturnType<typeof reconcile>>[] = []
  for (let run = 0; run < RUNS; run += 1) {
    const one = await reconcile(left, right)
    if (one.found !== expected) throw new Error(`Found ${one.found} differences, not ${expected}.`)
    runs.push(one)
  }
  return [
    { measure: `${what}: bytes, both ways, the most`, value: Math.max(...runs.map((run) => run.bytes)), unit: 'bytes' },
    { measure: `${what}: round trips, the most`, value: Math.max(...runs.map((run) => run.rounds)), unit: 'times' },
    { measure: `${what}: work of the side that asks`, value: median(runs.map((run) => run.initiatorMs)), unit: 'ms' },
    { measure: `${what}: work of the other side`, value: median(runs.map((run) => run.responderMs)), unit: 'ms' },
  ]
}

/** One reconciliation with the limits and the randomness of a session. */
async function reconcile(left: Side, right: Side) {
  const { random } = systemEnvironment()
  const options = { frameSizeLimit: MAX_NEGENTROPY_BYTES, maxMessageBytes: MAX_NEGENTROPY_BYTES, random }
  const spent = { initiator: 0, responder: 0 }
  async function timed<T>(side: keyof typeof spent, work: () => Promise<T>): Promise<T> {
    const begin = performance.now()
    const result = await work()
    spent[side] += performance.now() - begin
    return result
  }
  const mine = await timed('initiator', () => opened(left.index))
  const theirs = await timed('responder', () => opened(right.index))
  const initiator = new Negentropy(mine, options)
  const responder = new Negentropy(theirs, options)
  let found = 0
  let bytes = 0
  let rounds = 0
  let asked: Uint8Array | null = await timed('initiator', () => initiator.initiate())
  while (asked !== null) {
    const question: Uint8Array = asked
    const { message: answer } = await timed('responder', () => responder.reconcile(question))
    if (answer === null) throw new Error('The other side did not answer.')
    const reconciled: Reconciled = await timed('initiator', () => initiator.reconcile(answer))
    bytes += question.length + answer.length
    found += reconciled.have.length + reconciled.need.length
    asked = reconciled.message
    rounds += 1
  }
  await mine.close()
  await theirs.close()
  return { found, bytes, rounds, initiatorMs: spent.initiator, responderMs: spent.responder }
}

/** Spread over the whole range; every second one is the other side's. */
function isLacking(number: number, side: 0 | 1): boolean {
  const step = RECORDS / DIFFERENCES
  return number % step === Math.floor(step / 3) && Math.floor(number / step) % 2 === side
}

async function open(location: string): Promise<Side> {
  const db = new Level<Uint8Array, Uint8Array>(location, { keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  return { db, index: new OrderIndex(db) }
}

/** Writes the `o` rows of a store, one record a second. */
async function fill(db: Side['db'], isThere: (number: number) => boolean): Promise<void> {
  for (let from = 0; from < RECORDS; from += ROWS_A_BATCH) {
    const batch = db.batch()
    for (let number = from; number < from + ROWS_A_BATCH; number += 1) {
      if (!isThere(number)) continue
      const key = orderKey(FIRST_CREATED_AT + number, `0x${digestOf(String(number))}`)
      batch.put(key, seal(key, encodeSequence(number + 1)))
    }
    await batch.write()
  }
}

function digestOf(text: string): string {
  return idText(createHash('sha256').update(text).digest()).slice(2)
}

/** Memory that JavaScript holds, after a collection. */
function memoryBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** The index of a side, whose pages are counted. */
async function opened(index: OrderIndex): Promise<SyncSnapshot> {
  const readSnapshot = await index.at()
  if (readSnapshot === undefined) throw new Error('The pages of the index are not counted.')
  return readSnapshot
}
