/**
 * Archives (docs/protocol.md, "Archive") of a replica, in browsers too. The form of lines is that of `archive/`; reading is done
 * here, for the reader there is made of Node's streams. Nothing that is taken in was not verified.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { LineCutter, type Line } from '../archive/lines.ts'
import { ARCHIVE_FORMAT, headerLine, trailerLine } from '../archive/format.ts'
import type { ArchiveErrorCode } from '../archive/errors.ts'
import { throwIfAborted } from '../client/deadline.ts'
import { recordText } from '../client/sign-patch.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { parseExactJson } from '../record/exact-json.ts'
import { compareCitations } from '../record/order.ts'
import { parseSignature } from '../record/signature.ts'
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import { createSlices, nextTask } from '../client/verify-records.ts'
import { ReplicaError } from './errors.ts'
import { IMPORT_RECORDS, MAX_NOISE_BYTES } from './limits.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { ImportOptions, ImportResult } from './types.ts'

/** Lines are handed on in blocks of about this. */
const BLOCK_CHARACTERS = 65_536
/** Faults that are told one by one. */
const MAX_TOLD = 20

/** @param replicas of the avatars that it names, or of all */
export async function* writeArchiveOf(
  replicas: readonly AvatarReplica[],
  header: { readonly network: string; readonly createdAt: number; readonly isNamed: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  const ordered = replicas.toSorted((a, b) => (a.avatar < b.avatar ? -1 : 1))
  const hash = sha256.create()
  const { network, createdAt, isNamed } = header
  const avatars = isNamed ? { avatars: ordered.map(({ avatar }) => avatar) } : {}
  let text = headerLine({ created_at: createdAt, network, ...avatars })
  let records = 0
  const block = (): Uint8Array => {
    const bytes = new TextEncoder().encode(text)
    text = ''
    hash.update(bytes)
    return bytes
  }
  for (const { shown } of ordered) {
    const sorted = [...shown.records].sort((a, b) =>
      compareCitations({ counter: a.body.counter, id: a.id }, { counter: b.body.counter, id: b.id }),
    )
    for (const record of sorted) {
      const { payload, signature } = recordText(record)
      text += `${JSON.stringify({ payload, signature })}\n`
      records += 1
      if (text.length >= BLOCK_CHARACTERS) yield block()
    }
  }
  if (text !== '') yield block()
  yield new TextEncoder().encode(trailerLine({ digest: bytesToHex(hash.digest()), records }))
}

export interface ImportComponents {
  readonly engine: SignatureEngine
  readonly network: string
  /** The replica of an avatar; undefined where it is not followed, and shall not be. */
  readonly replicaOf: (avatar: Avatar) => Promise<AvatarReplica | undefined>
}

/**
 * @throws ReplicaError `usage` where it is no archive, is one of another network, or breaks off; what came before is taken
 */
export async function readArchiveInto(
  { engine, network, replicaOf }: ImportComponents,
  chunks: AsyncIterable<Uint8Array>,
  { signal }: ImportOptions,
): Promise<ImportResult> {
  const counts = { records: 0, added: 0, duplicate: 0, superseded: 0, invalid: 0, skipped: 0 }
  const faults: { line: number; code: ArchiveErrorCode; message: string }[] = []
  const tell = (line: number, code: ArchiveErrorCode, message: string): void => {
    if (faults.length < MAX_TOLD) faults.push({ line, code, message })
  }
  const hash = sha256.create()
  const slices = createSlices()
  let batch: VerifiedRecord[] = []
  let hasHeader = false
  let trailer: ImportResult['trailer'] = 'missing'
  let noise = 0

  async function flush(): Promise<void> {
    const byAvatar = groups(batch)
    batch = []
    for (const [avatar, records] of byAvatar) {
      const replica = await replicaOf(avatar)
      if (replica === undefined) {
        counts.skipped += records.length
        continue
      }
      const added = new Set((await replica.take(records)).map(({ id }) => id))
      for (const { id } of records) {
        if (added.has(id)) counts.added += 1
        else counts[replica.shown.get(id) === undefined ? 'superseded' : 'duplicate'] += 1
      }
    }
  }

  async function take(line: Line): Promise<void> {
    const { number, kind } = line
    if (kind === 'long' || kind === 'rest') {
      if (kind === 'long') tell(number, 'line_too_long', 'The line is too long and was passed over.')
      wasted(line)
      return
    }
    const parsed = parseLine(line.bytes)
    if (trailer !== 'missing') tell(number, 'after_trailer', 'There is more after the trailer.')
    if (parsed === undefined) {
      tell(number, 'bad_line', 'The line is neither a header nor a record nor a trailer.')
      wasted(line)
    } else if (parsed.kind === 'header') {
      if (parsed.format !== ARCHIVE_FORMAT) throw wrong(`it has another format than ${ARCHIVE_FORMAT}`)
      if (parsed.network !== network) throw wrong(`it is of another network; here it is ${network}`)
      hasHeader = true
    } else if (!hasHeader) throw wrong('it does not begin with a header')
    else if (parsed.kind === 'trailer') {
      const digest = `sha256:${bytesToHex(hash.clone().digest())}`
      trailer = parsed.records === counts.records && parsed.digest === digest ? 'good' : 'wrong'
      if (trailer === 'wrong') tell(number, 'wrong_trailer', 'The trailer does not fit the lines before it.')
    } else {
      counts.records += 1
      const record = verified(parsed)
      if (record instanceof RecordError) {
        counts.invalid += 1
        tell(number, 'bad_record', record.message)
      } else batch.push(record)
      if (batch.length >= IMPORT_RECORDS) await flush()
      if (slices.isOver()) {
        await nextTask()
        throwIfAborted([signal])
        slices.begin()
      }
    }
  }

  function wasted({ bytes }: Line): void {
    noise += bytes.length
    if (!hasHeader || noise > MAX_NOISE_BYTES) throw wrong('it has too much in it that is no record')
  }

  function verified({ payload, signature }: { payload: string; signature: string }): VerifiedRecord | RecordError {
    try {
      const bytes = { payload: new TextEncoder().encode(payload), signature: parseSignature(signature) }
      return verifyRecord(engine, network, bytes, { recoveryByte: true })
    } catch (error) {
      if (error instanceof RecordError) return error
      throw error
    }
  }

  const cutter = new LineCutter()
  try {
    for await (const chunk of unzipped(chunks)) {
      throwIfAborted([signal])
      for (const line of cutter.push(chunk)) {
        await take(line)
        hash.update(line.bytes)
      }
    }
  } catch (error) {
    // What came before it counts.
    await flush()
    throw error
  }
  for (const line of cutter.end()) await take(line)
  if (!hasHeader) throw wrong('it is empty')
  if (trailer === 'missing') tell(cutter.number, 'trailer_missing', 'It was cut short: records may be missing.')
  await flush()
  return { ...counts, trailer, faults }
}

type Parsed =
  | { readonly kind: 'header'; readonly format: string; readonly network: string }
  | { readonly kind: 'record'; readonly payload: string; readonly signature: string }
  | { readonly kind: 'trailer'; readonly digest: string; readonly records: number }

/** Undefined for a line that is nothing an archive has. Lines are bounded in length. */
function parseLine(bytes: Uint8Array): Parsed | undefined {
  let value: unknown
  try {
    value = parseExactJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { payload, signature, format, network, digest, records } = value as Record<string, unknown>
  if (typeof payload === 'string' && typeof signature === 'string') return { kind: 'record', payload, signature }
  if (typeof format === 'string' && typeof network === 'string') return { kind: 'header', format, network }
  if (typeof digest === 'string' && typeof records === 'number') return { kind: 'trailer', digest, records }
  return undefined
}

/** Decompresses what begins as a gzip file does (RFC 1952, section 2.3.1). */
async function* unzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = chunks[Symbol.asyncIterator]()
  let next = await iterator.next()
  while (next.done !== true && next.value.length === 0) next = await iterator.next()
  let failure: unknown
  async function* whole(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (; next.done !== true; next = await iterator.next()) yield next.value
    } catch (error) {
      failure = error
      throw error
    } finally {
      await iterator.return?.()
    }
  }
  if (next.done === true || next.value[0] !== 0x1f || next.value[1] !== 0x8b) return yield* whole()
  try {
    yield* through(whole(), new DecompressionStream('gzip'))
  } catch (error) {
    if (error === failure) throw error
    throw wrong('the compressed data is damaged or cut short; what came before was taken')
  }
}

/** Compresses an archive. */
export function zipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  return through(chunks, new CompressionStream('gzip'))
}

async function* through(
  chunks: AsyncIterable<Uint8Array>,
  pair: CompressionStream | DecompressionStream,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = chunks[Symbol.asyncIterator]()
  // One chunk at a time, as it is asked for.
  const source = new ReadableStream<BufferSource>({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done === true) controller.close()
      else controller.enqueue(Uint8Array.from(value))
    },
    async cancel() {
      await iterator.return?.()
    },
  })
  const reader = source.pipeThrough<Uint8Array>(pair).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}

function groups(records: readonly VerifiedRecord[]): Map<Avatar, VerifiedRecord[]> {
  const byAvatar = new Map<Avatar, VerifiedRecord[]>()
  for (const record of records) {
    const known = byAvatar.get(record.body.avatar)
    if (known === undefined) byAvatar.set(record.body.avatar, [record])
    else known.push(record)
  }
  return byAvatar
}

function wrong(why: string): ReplicaError {
  return new ReplicaError('usage', `This archive cannot be taken in: ${why}.`)
}
