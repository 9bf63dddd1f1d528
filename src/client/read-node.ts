import { messageOf } from '../platform/errors.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { RecordId, VerifiedRecord } from '../record/types.ts'
import { throwIfAborted } from './deadline.ts'
import { ClientError } from './errors.ts'
import * as limits from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import type { NodeStanding, Problem, ProblemCode, Progress } from './types.ts'
import { createSlices, decodeAnswer, nextTask, takeIn, type DecodedRecord } from './verify-records.ts'

/** What reading a node brought. */
export interface NodeRead {
  readonly api: NodeApi
  /** `read`: to its end. */
  readonly outcome: 'read' | Extract<NodeStanding, 'unknown' | 'failed'>
  /** The digest that it claimed with the last page; null where it was not read to its end. */
  readonly digest: string | null
  /** Ids that it handed out this time. */
  readonly ids: ReadonlySet<RecordId>
  /** Whether it was read from the beginning, so that these are all. */
  readonly fromStart: boolean
  readonly added: readonly VerifiedRecord[]
  readonly problems: readonly Problem[]
}

export interface ReadOptions {
  readonly engine: SignatureEngine
  readonly signals: readonly (AbortSignal | undefined)[]
  readonly signal: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Whether to begin at the beginning though a cursor is kept. */
  readonly fromStart?: boolean
  /** Called once the node has sent all, before it is verified. */
  readonly onSent?: (() => void) | undefined
  /** Records that were verified before, elsewhere. */
  readonly known?: ((id: RecordId) => VerifiedRecord | undefined) | undefined
  /** Records of the avatar that are read at most. */
  readonly maxRecords?: number
  /** Characters of payload that are read at most. */
  readonly maxCharacters?: number
}

/**
 * Reads the records of an avatar from a node, from where it was left last time, and takes them in. Whatever the node does,
 * this ends, and nothing is taken in that is not verified.
 *
 * @throws ClientError `aborted`
 */
export async function readNode(api: NodeApi, local: LocalAvatar, options: ReadOptions): Promise<NodeRead> {
  const problems: Problem[] = []
  const report = (code: ProblemCode, message: string): void => {
    if (problems.some((each) => each.code === code)) return
    problems.push({ node: api.url, code, message: `The node at ${api.url}: ${message}.` })
  }
  const start = options.fromStart === true ? null : (local.cursors.get(api.url) ?? null)
  const nothing = { api, digest: null, ids: new Set<RecordId>(), fromStart: false, added: [], problems }
  let pages: Pages | 'unknown'
  try {
    pages = await readPages(api, local, start, options, report)
  } catch (error) {
    if (!(error instanceof ClientError) || error.code === 'aborted') throw error
    problems.push({ node: api.url, code: problemCode(error), message: error.message })
    return { ...nothing, outcome: 'failed' }
  }
  if (pages === 'unknown') return { ...nothing, outcome: 'unknown' }

  options.onSent?.()
  const onStep = async (done: number, total: number): Promise<void> => {
    // An engine that verifies many may call this several times at once: no progress is reported after an abort.
    throwIfAborted(options.signals)
    if (total > 0) options.onProgress?.({ done, total, node: api.url })
    await nextTask()
    throwIfAborted(options.signals)
  }
  const { added, faults } = await takeIn(local, options.engine, pages.records, onStep, options.known)
  for (const { code, message } of faults) report(code, message)
  const whole = pages.digest !== null && faults.length === 0 && pages.faults === 0
  // A node that hands out what is not valid is read from the beginning the next time.
  if (whole && pages.cursor !== null) local.cursors.set(api.url, pages.cursor)
  else local.cursors.delete(api.url)
  const outcome = pages.digest === null ? 'failed' : 'read'
  const ids = new Set(pages.records.map(({ id }) => id))
  return { api, outcome, digest: pages.digest, ids, fromStart: pages.fromStart, added, problems }
}

export interface Pages {
  readonly records: readonly DecodedRecord[]
  readonly faults: number
  readonly digest: string | null
  readonly cursor: string | null
  readonly fromStart: boolean
}

/** Pages of records, decoded; their signatures are not checked. */
export async function readPages(
  api: NodeApi,
  local: Pick<LocalAvatar, 'avatar' | 'network'>,
  start: string | null,
  options: ReadOptions,
  report: (code: ProblemCode, message: string) => void,
): Promise<Pages | 'unknown'> {
  const { maxRecords = limits.MAX_RECORDS, maxCharacters = limits.MAX_RECORD_CHARACTERS } = options
  let records: DecodedRecord[] = []
  let seen = new Set<RecordId>()
  let cursor = start
  let fromStart = start === null
  let characters = 0
  let faults = 0
  const begun = performance.now()
  const broken = (): Pages => ({ records, faults, digest: null, cursor: null, fromStart })
  for (let restarts = 0; ;) {
    const page = await api.records(local.avatar, cursor, options.signal)
    if (page === undefined) return 'unknown'
    if (page === 'expired') {
      if (++restarts > limits.MAX_RESTARTS) {
        report('endless', 'it begins its history again and again')
        return broken()
      }
      records = []
      seen = new Set()
      cursor = null
      fromStart = true
      continue
    }
    // As long as one answer may take for each full page's worth, so that pages of little cannot go on for ever.
    const worth = 1 + seen.size / limits.PAGE_RECORDS + characters / limits.PAGE_CHARACTERS
    if (performance.now() - begun > api.patienceMs * worth) {
      report('endless', 'it takes too long to send its records')
      return broken()
    }
    if (page.records.length === 0) return { records, faults, digest: page.digest, cursor: page.cursor, fromStart }
    const known = seen.size
    const slices = createSlices()
    for (const answer of page.records) {
      if (seen.has(answer.id)) continue
      seen.add(answer.id)
      characters += answer.payload.length
      if (seen.size > maxRecords || characters > maxCharacters) {
        report('endless', 'it sends more records of this avatar than can be held')
        return broken()
      }
      const decoded = decodeAnswer(options.engine, local.network, local.avatar, answer)
      if ('code' in decoded) {
        faults += 1
        report(decoded.code, decoded.message)
      } else records.push(decoded)
      if (slices.isOver()) await slices.pause()
    }
    if (faults > limits.MAX_INVALID_RECORDS) return broken()
    if (seen.size === known || page.cursor === null || page.cursor === cursor) {
      report('repeats', 'it sends the same records again and again')
      return broken()
    }
    cursor = page.cursor
    await nextTask()
  }
}

function problemCode(error: ClientError): ProblemCode {
  if (error.code === 'answer_too_large') return 'refused'
  return error.code === 'bad_answer' || error.code === 'refused' ? error.code : 'unreachable'
}

/** A problem in words, for a list of them. */
export function problemOf(api: NodeApi, error: unknown): Problem {
  const code = error instanceof ClientError ? problemCode(error) : 'unreachable'
  return { node: api.url, code, message: messageOf(error) }
}
