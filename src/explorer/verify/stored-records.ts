import { hexBytes } from '../../record/hex.ts'
import type { Avatar, SignedRecord } from '../../record/types.ts'
import type { CachedAvatar, CacheUpdate, RecordCache, RecordText } from '../../client/types.ts'
import { recordText } from '../../client/sign-patch.ts'
import { attempt } from '../data/attempt.ts'
import type { Disk, Operation } from '../../replica/disk.ts'

/** Of payloads and signatures, of all avatars together. */
const MOST_BYTES = 64 * 1024 * 1024
/** A larger avatar is read from the host each time. */
const MOST_AVATAR_BYTES = 16 * 1024 * 1024
const MOST_AVATARS = 200
/** Rows of an avatar: each read appends one. More are written again as one. */
const MOST_ROWS = 32
/** A browser that is slower to read than this asks the host instead. */
const PATIENCE_MS = 1_000

const RECORDS = 'records!'
const ABOUT = 'about!'
const END = '~'

interface About {
  readonly network: string
  readonly cursors: readonly (readonly [string, string])[]
  readonly bytes: number
  readonly rows: number
  readonly usedMs: number
}

/**
 * Stores verified records in the browser, so that a later visit fetches only what is new. What is loaded is verified again by the client
 * (`rememberVerified` makes that quick), so no false record is shown, even if something else writes to this storage.
 *
 * @param openDisk opens the storage; where that fails, or takes too long, the host is read from the beginning
 */
export function storedRecords(openDisk: () => Promise<Disk>, network: string): RecordCache {
  let opening: Promise<Disk> | undefined
  const open = (): Promise<Disk> => (opening ??= openDisk())
  /** One write after the other: each reads what the one before it wrote. */
  let writing: Promise<void> = Promise.resolve()
  const known = new Map<Avatar, About>()

  async function load(avatar: Avatar): Promise<CachedAvatar | undefined> {
    const disk = await open()
    const about = await readAbout(disk, ABOUT + avatar)
    if (about === undefined || about.network !== network) return undefined
    known.set(avatar, about)
    const rows: Uint8Array[] = []
    for await (const [, value] of disk.rows({ after: rowKey(avatar), before: rowKey(avatar) + END })) rows.push(value)
    return { records: recordsIn(rows), cursors: about.cursors }
  }

  async function save(avatar: Avatar, update: CacheUpdate, records: readonly SignedRecord[]): Promise<void> {
    const disk = await open()
    const before = known.get(avatar)
    const isWhole = before === undefined || before.rows >= MOST_ROWS || update.bytes < before.bytes
    if (update.bytes > MOST_AVATAR_BYTES) {
      known.delete(avatar)
      return await disk.batch(await removal(disk, avatar))
    }
    const texts = (isWhole ? records : update.added).map(recordText)
    const rows = isWhole ? 1 : before.rows + (texts.length > 0 ? 1 : 0)
    const about: About = { network, cursors: [...update.cursors], bytes: update.bytes, rows, usedMs: Date.now() }
    await disk.batch([
      ...(isWhole ? await removal(disk, avatar) : []),
      ...(texts.length > 0 ? [rowOf(`${rowKey(avatar)}${String(rows).padStart(6, '0')}`, texts)] : []),
      put(ABOUT + avatar, about),
      ...(await evicted(disk, avatar, update.bytes)),
    ])
    known.set(avatar, about)
  }

  return {
    load: async (avatar) => await inTime(load(avatar)),
    save(avatar, update) {
      // The avatar may grow before its turn comes.
      const records = [...update.records]
      writing = writing.then(() => save(avatar, update, records)).catch(() => {})
      // Nothing waits for the storage.
      return Promise.resolve()
    },
  }
}

const rowKey = (avatar: Avatar): string => `${RECORDS}${avatar}!`

function recordOf({ payload, signature }: RecordText): SignedRecord {
  return { payload: new TextEncoder().encode(payload), signature: hexBytes(signature, 2) }
}

/** A record on each line. */
function rowOf(key: string, texts: readonly RecordText[]): Operation {
  return { type: 'put', key, value: new TextEncoder().encode(texts.map((each) => JSON.stringify(each)).join('\n')) }
}

function put(key: string, value: unknown): Operation {
  return { type: 'put', key, value: new TextEncoder().encode(JSON.stringify(value)) }
}

function parse<T>(value: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(value)) as T
}

/** One by one, so that the client can pause between them. */
function* recordsIn(rows: readonly Uint8Array[]): Generator<SignedRecord> {
  for (const row of rows) {
    for (const line of new TextDecoder().decode(row).split('\n')) {
      const record = attempt(() => recordOf(JSON.parse(line) as RecordText))
      // A line that something else wrote. The digest that hosts claim shows the client that it lacks records.
      if (record !== undefined) yield record
    }
  }
}

async function readAbout(disk: Disk, key: string): Promise<About | undefined> {
  const value = await disk.get(key)
  return value === undefined ? undefined : parse<About>(value)
}

async function removal(disk: Disk, avatar: string): Promise<Operation[]> {
  const operations: Operation[] = [{ type: 'del', key: ABOUT + avatar }]
  const prefix = `${RECORDS}${avatar}!`
  for await (const [key] of disk.rows({ after: prefix, before: prefix + END })) operations.push({ type: 'del', key })
  return operations
}

/** The avatars that were used longest ago, as many as must go beside one of `bytes`. */
async function evicted(disk: Disk, avatar: Avatar, bytes: number): Promise<Operation[]> {
  const others: [string, About][] = []
  for await (const [key, value] of disk.rows({ after: ABOUT, before: ABOUT + END })) {
    if (key !== ABOUT + avatar) others.push([key.slice(ABOUT.length), parse<About>(value)])
  }
  let [avatars, total] = [1, bytes]
  const going = others
    .sort(([, a], [, b]) => b.usedMs - a.usedMs)
    .filter(([, about]) => {
      avatars += 1
      total += about.bytes
      return avatars > MOST_AVATARS || total > MOST_BYTES
    })
  return (await Promise.all(going.map(([each]) => removal(disk, each)))).flat()
}

/** Undefined where a promise rejects or takes too long. */
async function inTime<T>(promise: Promise<T | undefined>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS)
  })
  return await Promise.race([promise.catch(() => undefined), late]).finally(() => clearTimeout(timer))
}
