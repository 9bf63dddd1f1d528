/** Records as nodes hand them out, turned into verified ones, without keeping a page from answering its user. */
import { messageOf } from '../platform/errors.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { recordId } from '../record/id.ts'
import { compareCitations } from '../record/order.ts'
import { decodeUncheckedPoint } from '../record/payload.ts'
import { parseSignature } from '../record/signature.ts'
import type { Avatar, Citation, RecordBody, RecordId, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { verifyRecords } from '../record/verify.ts'
import type { RecordAnswer } from './answers.ts'
import { throwIfAborted, type Signals } from './deadline.ts'
import { SLICE_MS } from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { ProblemCode } from './types.ts'

/** Well formed and of the avatar, but its signature is not checked. */
export interface DecodedRecord extends SignedRecord {
  readonly id: RecordId
  readonly body: RecordBody
}

export interface Fault {
  readonly code: Extract<ProblemCode, 'invalid_record' | 'foreign_record' | 'wrong_id'>
  readonly message: string
}

/** Decodes a record of a page; cheap beside its signature. */
export function decodeAnswer(
  engine: SignatureEngine,
  network: string,
  avatar: Avatar,
  answer: RecordAnswer,
): DecodedRecord | Fault {
  try {
    const payload = new TextEncoder().encode(answer.payload)
    const body = decodeUncheckedPoint(payload, network)
    if (body.avatar !== avatar) {
      return { code: 'foreign_record', message: `it hands out a record of another avatar, ${body.avatar}` }
    }
    const id = recordId(payload, engine.keccak256)
    if (id !== answer.id)
      return { code: 'wrong_id', message: `it hands out a record that is not valid, ${answer.id}: its id is ${id}` }
    return { id, body, payload, signature: parseSignature(answer.signature) }
  } catch (error) {
    return invalid(answer.id, error)
  }
}

/**
 * Verifies records and adds them. Snapshots come first: what a complete one supersedes has no effect, and is passed over
 * unverified, so that a long history costs nothing.
 *
 * @param onStep yields to the event loop; called now and then with how many of how many are done; may throw to end the work
 * @param known records that were verified before
 * @returns what was added, and what is wrong with the others
 */
export async function takeIn(
  local: LocalAvatar,
  engine: SignatureEngine,
  records: readonly DecodedRecord[],
  onStep: (done: number, total: number) => Promise<void>,
  known: (id: RecordId) => VerifiedRecord | undefined = () => undefined,
): Promise<{ added: VerifiedRecord[]; faults: Fault[] }> {
  const fresh = new Map<RecordId, DecodedRecord>()
  for (const record of records) if (local.get(record.id) === undefined) fresh.set(record.id, record)
  const faults: Fault[] = []
  const verified = new Map<RecordId, VerifiedRecord | undefined>()
  const slices = createSlices()
  const pauseIfOver = async (done: number): Promise<void> => {
    if (!slices.isOver()) return
    await onStep(done, fresh.size)
    slices.begin()
  }

  /** @returns whether all are good */
  async function verify(records: readonly DecodedRecord[]): Promise<boolean> {
    const before = verified.size
    const todo = records.filter(({ id }) => !verified.has(id))
    for (const { id } of todo) verified.set(id, known(id))
    const unknown = todo.filter(({ id }) => verified.get(id) === undefined)
    const results = await verifyRecords(engine, local.network, unknown, { recoveryByte: false }, (done) =>
      pauseIfOver(before + done),
    )
    for (const [at, { id }] of unknown.entries()) {
      const result = results[at]
      if (result instanceof RecordError) faults.push(invalid(id, result))
      else verified.set(id, result)
    }
    return records.every(({ id }) => verified.get(id) !== undefined)
  }

  const base = await findBase(local, fresh, verify)
  const counter = Math.max(base?.counter ?? 0, local.base?.counter ?? 0)
  await verify([...fresh.values()].filter(({ body }) => body.counter >= counter))

  const added: VerifiedRecord[] = []
  const good = [...verified.values()].filter((record) => record !== undefined)
  good.sort((a, b) => a.body.counter - b.body.counter)
  for (const record of good) {
    if (local.add(record)) added.push(record)
    await pauseIfOver(fresh.size)
  }
  await onStep(fresh.size, fresh.size)
  return { added, faults }
}

/** The greatest complete snapshot with good signatures among records and what is held; undefined if none is above the base. */
async function findBase(
  local: LocalAvatar,
  fresh: ReadonlyMap<RecordId, DecodedRecord>,
  verify: (records: readonly DecodedRecord[]) => Promise<boolean>,
): Promise<Citation | undefined> {
  const snapshots = [...fresh.values()]
    .filter(({ body }) => body.type === 'snapshot')
    .map((record) => ({ record, id: record.id, counter: record.body.counter }))
    .sort((a, b) => compareCitations(b, a))
  for (const { record, id, counter } of snapshots) {
    if (local.base !== null && compareCitations({ counter, id }, local.base) < 0) return undefined
    if (record.body.type !== 'snapshot') continue
    const isThere = (part: RecordId): boolean => {
      const body = fresh.get(part)?.body ?? local.get(part)?.body
      return body?.type === 'part' && body.counter === counter
    }
    if (!record.body.parts.every(isThere) || !(await verify([record]))) continue
    const parts = record.body.parts.map((part) => fresh.get(part)).filter((part) => part !== undefined)
    if (await verify(parts)) return { counter, id }
  }
  return undefined
}

function invalid(id: RecordId, error: unknown): Fault {
  return { code: 'invalid_record', message: `it hands out a record that is not valid, ${id}: ${messageOf(error)}` }
}

/** Records that were kept elsewhere are as good as strangers'. */
export function decodeKept(engine: SignatureEngine, network: string, record: SignedRecord): DecodedRecord | undefined {
  try {
    const body = decodeUncheckedPoint(record.payload, network)
    return { ...record, id: recordId(record.payload, engine.keccak256), body }
  } catch {
    return undefined
  }
}

/** Tells when a piece of work has gone on for long enough. */
export function createSlices() {
  let due = performance.now() + SLICE_MS
  const begin = (): void => void (due = performance.now() + SLICE_MS)
  return {
    isOver: (): boolean => performance.now() >= due,
    /** The next piece begins. */
    begin,
    /** Lets the platform do something else, and begins the next piece. @throws ClientError `aborted` */
    async pause(signals: Signals = []): Promise<void> {
      await nextTask()
      throwIfAborted(signals)
      begin()
    },
  }
}

/** Lets the platform do something else: draw, answer, be aborted. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0)
  })
}
