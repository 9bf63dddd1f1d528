import { nodePlatform } from '../../src/archive/node.ts'
import { gunzipSync, gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'

import { checkArchive } from '../../src/archive/check.ts'
import { importArchive } from '../../src/ingest/import-archive.ts'
import { importDoor } from '../../src/ingest/retry.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import { openDoor } from '../ingest/door.ts'
import type { Door } from '../ingest/door.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { entry, Writer } from '../store/writer.ts'
import { archiveOf, chunksOf, joined, linesOf } from './archives.ts'

/** How many archives are damaged; together they are the 200 that every release has to stand. */
const ROUNDS = 4
const DAMAGED_PER_ROUND = 50
const SEED = Number(process.env['ARCHIVE_SEED'] ?? 20_261_122)

const engine = await selectEngine()
const verifier = createVerifyService({ engine, logger: pino({ level: 'silent' }) }, { network: 'main', workers: 0 })
const { timers } = systemEnvironment()

/** Two avatars, each with a fork, a record that waits, a snapshot in parts, and texts of several bytes a character. */
function historyOf(writer: Writer): TestRecord[] {
  const chain = writer.chain(12)
  const part = writer.part(13, [entry({ part: 'ü' })])
  const base = writer.snapshot([chain[11]!], [entry({ text: '\u{1f600}"\\' })], [part.id])
  const after = writer.chain(8, [base])
  const fork = writer.patch([base], { fork: 'é' })
  const late = writer.patch([{ counter: 40, id: `0x${'4'.repeat(64)}` }], { late: true })
  return [...chain, part, base, ...after, fork, late]
}
const writers = [new Writer(31), new Writer(32)]
const histories = writers.map(historyOf)
const genuine = new Map(histories.flat().map((record) => [record.id, record]))
const archives = await Promise.all(histories.map((records) => archiveOf(records, { history: true })))
const both = await archiveOf(histories.flat(), { history: true })
const lineIds = new Map(
  [...genuine.values()].map((record) => [
    `{"payload":${JSON.stringify(Buffer.from(record.payload).toString())},"signature":"0x${Buffer.from(record.signature).toString('hex')}"}`,
    record.id,
  ]),
)

type Pick = (below: number) => number

/** mulberry32: the same archives for the same seed, everywhere. */
function randomOf(seed: number): Pick {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function flip(bytes: Uint8Array, pick: Pick): Buffer {
  const damaged = Buffer.from(bytes)
  for (let bits = 1 + pick(3); bits > 0; bits--) damaged[pick(damaged.length)]! ^= 1 << pick(8)
  return damaged
}

const cut = (bytes: Uint8Array, pick: Pick): Buffer => Buffer.from(bytes.subarray(0, pick(bytes.length)))

const DAMAGES: Readonly<Record<string, (pick: Pick) => Buffer>> = {
  'cut anywhere': (pick) => cut(both, pick),
  'cut in the header': (pick) => Buffer.from(both.subarray(0, pick(both.indexOf(10)))),
  'cut at the end of a line': (pick) => {
    const lines = linesOf(both)
    return joined(lines.slice(0, pick(lines.length)))
  },
  'cut in the trailer': (pick) => Buffer.from(both.subarray(0, both.length - 1 - pick(90))),
  'cut within a character': (pick) => {
    const places = [...both.entries()].filter(([, byte]) => byte >= 0x80 && byte < 0xc0).map(([at]) => at)
    return Buffer.from(both.subarray(0, places[pick(places.length)]))
  },
  'the beginning cut off': (pick) => Buffer.from(both.subarray(1 + pick(both.length - 1))),
  'bits flipped': (pick) => flip(both, pick),
  'a stretch overwritten': (pick) => {
    const damaged = Buffer.from(both)
    const at = pick(damaged.length)
    damaged.fill(pick(256), at, at + pick(3_000))
    return damaged
  },
  'a stretch cut out': (pick) => {
    const at = pick(both.length)
    return Buffer.concat([both.subarray(0, at), both.subarray(at + 1 + pick(3_000))])
  },
  'a line lost, doubled or moved': (pick) => {
    const lines = linesOf(both)
    const [line = ''] = lines.splice(pick(lines.length), pick(3) === 0 ? 0 : 1)
    for (let times = pick(3); times > 0; times--) lines.splice(pick(lines.length), 0, line)
    return joined(lines)
  },
  'spliced from two avatars at any byte': (pick) => {
    const [a, b] = (pick(2) === 0 ? archives : archives.toReversed()) as [Buffer, Buffer]
    return Buffer.concat([a.subarray(0, pick(a.length)), b.subarray(pick(b.length))])
  },
  'spliced from two avatars, line by line': (pick) => {
    const [a, b] = archives.map(linesOf) as [string[], string[]]
    return joined(a.map((line, at) => (pick(2) === 0 ? line : (b[at] ?? line))))
  },
  'payloads of one with signatures of the other': (pick) => {
    const [a, b] = archives.map(linesOf) as [string[], string[]]
    return joined(
      a.map((line, at) => {
        const [payload, signature] = [line, b[at] ?? line].map((each) => each.split(',"signature":'))
        return pick(3) > 0 || signature?.[1] === undefined ? line : `${payload?.[0]},"signature":${signature[1]}`
      }),
    )
  },
  "one avatar's key put into the other's records": (pick) => {
    const [one, other] = writers.map(({ avatar }) => avatar) as [string, string]
    return joined(linesOf(both).map((line) => (pick(4) === 0 ? line.replaceAll(one, other) : line)))
  },
  'compressed, then bits flipped': (pick) => flip(gzipSync(both), pick),
  'compressed, then cut': (pick) => cut(gzipSync(both), pick),
  'damaged, then compressed': (pick) => gzipSync(flip(both, pick)),
}
const KINDS = Object.entries(DAMAGES)

/** The text that is inside, as far as anyone can tell. */
function inside(bytes: Buffer): Buffer | undefined {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return gunzipSync(bytes)
  } catch {
    return undefined
  }
}

async function heldIn(door: Door): Promise<Map<string, Buffer>> {
  const held = new Map<string, Buffer>()
  for (const avatar of await door.store.avatars({ limit: 1_000 })) {
    const page = await door.store.records(avatar, { after: 0, limit: 1_000 })
    for (const { id, payload } of page?.records ?? []) held.set(id, Buffer.from(payload))
  }
  return held
}

function take(door: Door, bytes: Uint8Array) {
  return importArchive({ chunks: chunksOf(bytes, 1_000), submit: importDoor(door.ingest, timers), network: 'main' })
}

/** What must hold of one damaged archive; the names of what does not. */
async function problemsOf(bytes: Buffer): Promise<string[]> {
  const problems: string[] = []
  const door = await openDoor()
  try {
    const report = await take(door, bytes)
    const check = await checkArchive(nodePlatform, { chunks: chunksOf(bytes, 777), verifierFor: () => verifier })
    const held = await heldIn(door)

    for (const [id, payload] of held) {
      const record = genuine.get(id as TestRecord['id'])
      if (record === undefined || !payload.equals(record.payload)) problems.push(`a wrong record is stored: ${id}`)
    }
    const { stored, pending, duplicate, superseded, refused, invalid } = report
    const unread = (report.faults.codes.bad_record ?? 0) - invalid
    if (stored + pending + duplicate + superseded + refused + invalid + unread !== report.records) {
      problems.push('the counts do not add up')
    }

    const text = inside(bytes)
    const isWhole = text !== undefined && text.equals(both)
    if (report.sound !== isWhole) problems.push(`the import calls it ${report.sound ? 'sound' : 'damaged'}`)
    if (check.sound !== isWhole) problems.push(`the check calls it ${check.sound ? 'sound' : 'damaged'}`)
    // What cannot be decompressed to its end is said to be; where it can, each line that is as it was made has to count.
    const intact = new Set<string>()
    for (const line of text?.toString('latin1').split('\n') ?? []) {
      const id = lineIds.get(Buffer.from(line, 'latin1').toString('utf8'))
      if (id !== undefined) intact.add(id)
    }
    const bases = new Map<string, number>()
    for (const { avatar } of writers) bases.set(avatar, (await door.store.summary(avatar))?.base?.counter ?? 0)
    const isSuperseded = ({ avatar, counter }: TestRecord['body']) => counter < (bases.get(avatar) ?? 0)
    const left = [...intact].filter((id) => !held.has(id) && !isSuperseded(genuine.get(id as TestRecord['id'])!.body))
    const said = refused + (report.faults.stopped === null ? 0 : intact.size)
    if (left.length > said) problems.push(`${left.length} sound records are not stored, and ${said} are said not to be`)
    if (check.faults.stopped === null && check.valid < intact.size) problems.push('the check counts too few')
    if (report.faults.stopped === null && report.faults.total === 0 && !isWhole) problems.push('nothing is told')

    // And the store is sound: the whole archive on top makes it what the whole archive alone would.
    await take(door, both)
    for (const [at, { avatar }] of writers.entries()) {
      const fold = foldRecords(avatar, histories[at] ?? [])
      const summary = await door.store.summary(avatar)
      if (summary?.digest !== fold.digest || summary.pending !== fold.pending) problems.push('the store is not sound')
    }
  } finally {
    await door.close()
  }
  return problems
}

describe('damaged archives', () => {
  it.each(Array.from({ length: ROUNDS }, (_, round) => round))(
    'let no wrong record in and leave no sound one out without a word, round %i',
    async (round) => {
      const wrong: string[] = []
      for (let n = 0; n < DAMAGED_PER_ROUND; n++) {
        const index = round * DAMAGED_PER_ROUND + n
        const pick = randomOf(SEED + index)
        const [kind, damage] = KINDS[index % KINDS.length]!
        const problems = await problemsOf(damage(pick)).catch((error: unknown) => [`crash: ${String(error)}`])
        wrong.push(...problems.map((problem) => `seed ${SEED + index}, ${kind}: ${problem}`))
      }
      expect(wrong).toEqual([])
    },
  )
})
