import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LocalAvatar } from '../../src/client/local-avatar.ts'
import { pathOf, provenanceIn } from '../../src/client/provenance.ts'
import type { JsonObject, JsonValue, RecordId } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { traceCell } from '../../src/state/provenance.ts'
import { formatPointer, parsePointer } from '../../src/record/json-pointer.ts'
import { decodeMember, encodeMember } from '../../src/store/cell-codec.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { deliver, delivery } from '../oracle/delivery.ts'
import { history } from '../oracle/history.ts'
import { naiveFold, type NaiveFold } from '../oracle/naive-fold.ts'
import { naiveMergePatch } from '../oracle/naive-merge-patch.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import type { TestRecord } from '../oracle/signing.ts'

const engine = await selectEngine()
/** Before the content of a stored row comes its checksum. */
const CHECKSUM_BYTES = 4
/** Paths of each kind that a run must meet. Measured in six runs: 1,127 to 1,444 set, 2,357 to 3,202 removed. */
const MIN_COVERED = 300

interface Write {
  readonly id: RecordId
  readonly content: JsonObject
  /** Of a base: its layers in order. */
  readonly layers: readonly { readonly id: RecordId; readonly content: JsonObject }[]
}

interface Name {
  readonly platform: string
  readonly identity: string
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const own = (value: JsonValue | undefined, token: string): JsonValue | undefined => {
  if (Array.isArray(value)) return /^(0|[1-9]\d*)$/.test(token) ? value[Number(token)] : undefined
  return isObject(value) && Object.hasOwn(value, token) ? value[token] : undefined
}

/** All that was written to a namespace and counts, in the order in which it applies: the history searched as it is. */
function writesTo(records: readonly TestRecord[], fold: NaiveFold, name: Name): Write[] {
  const held = new Map(records.map((record) => [record.id, record]))
  const writes: Write[] = []
  const base = fold.base && held.get(fold.base.id)?.body
  if (fold.base !== null && base?.type === 'snapshot') {
    const states = [
      { id: fold.base.id, state: base.state },
      ...base.parts.map((id) => {
        const part = held.get(id)?.body
        return { id, state: part?.type === 'part' ? part.state : [] }
      }),
    ]
    const layers = states.flatMap(({ id, state }) =>
      state
        .filter(({ platform, identity }) => platform === name.platform && identity === name.identity)
        .map(({ content }) => ({ id, content })),
    )
    const content = layers.reduce<JsonValue>((before, layer) => naiveMergePatch(before, layer.content), {})
    if (layers.length > 0) writes.push({ id: fold.base.id, content: content as JsonObject, layers })
  }
  const patches = [...held.values()]
    .filter(({ id }) => fold.statuses.get(id) === 'stored')
    .sort((a, b) => a.body.counter - b.body.counter || (a.id < b.id ? -1 : 1))
  for (const { id, body } of patches) {
    if (body.type !== 'patch' || body.platform !== name.platform || body.identity !== name.identity) continue
    writes.push({ id, content: body.patch, layers: [] })
  }
  return writes
}

/** How far down a patch decides a path; null where it leaves it alone. */
function depthOf(content: JsonObject, tokens: readonly string[]): number | null {
  let value: JsonValue = content
  for (let depth = 0; depth < tokens.length; depth++) {
    if (!isObject(value)) return depth
    const next = own(value, tokens[depth] ?? '')
    if (next === undefined) return null
    value = next
  }
  return tokens.length
}

function search(writes: readonly Write[], tokens: readonly string[]) {
  const last = writes.findLast(({ content }) => depthOf(content, tokens) !== null)
  if (last === undefined) return { kind: 'unset', at: null, id: null }
  const content = writes.reduce<JsonValue>((before, write) => naiveMergePatch(before, write.content), {})
  const value = tokens.reduce<JsonValue | undefined>((inside, token) => own(inside, token), content)
  const layer = last.layers.findLast((each) => depthOf(each.content, tokens) !== null)
  return {
    kind: value === undefined ? 'removed' : 'set',
    at: formatPointer(tokens.slice(0, depthOf(last.content, tokens) ?? 0)),
    id: layer?.id ?? last.id,
  }
}

/** Paths that somebody wrote to, and some beside and below them. */
function pathsIn(writes: readonly Write[]): string[][] {
  const paths = new Map<string, string[]>()
  const visit = (value: JsonValue, path: readonly string[]): void => {
    for (const tokens of [path, [...path, '0'], [...path, 'b']]) {
      if (tokens.length > 0 && tokens.length <= 60) paths.set(formatPointer(tokens), [...tokens])
    }
    if (isObject(value)) for (const key of Object.keys(value)) visit(value[key] as JsonValue, [...path, key])
  }
  for (const { content } of writes) visit(content, [])
  return [...paths.values()]
}

test('whoever is named is whom a search through the history finds', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  let set = 0
  let removed = 0
  fc.assert(
    fc.property(history(25), delivery, ({ key, records }, plan) => {
      const arrived = deliver(records, plan).flat()
      const local = new LocalAvatar(key.avatar, 'main')
      for (const record of arrived) local.add(verifyRecord(engine, 'main', record, { recoveryByte: false }))
      const fold = naiveFold(key.avatar, arrived)
      for (const name of fold.namespaces) {
        const writes = writesTo(arrived, fold, name)
        for (const tokens of pathsIn(writes)) {
          const expected = search(writes, tokens)
          const path = formatPointer(tokens)
          const { kind, at, id, by, counter } = provenanceIn(local, name, pathOf(path))
          expect({ path, kind, at, id }).toEqual({ path, ...expected })
          const record = arrived.find((each) => each.id === id)
          expect([by, counter]).toEqual([record?.body.type ?? null, record?.body.counter ?? null])
          set += kind === 'set' ? 1 : 0
          removed += kind === 'removed' ? 1 : 0
          // What is stored of a member tells the same.
          const cell = local.cell(name, tokens[0] ?? '')
          if (cell === undefined) continue
          const stored = decodeMember(encodeMember(tokens[0] ?? '', cell).row.subarray(CHECKSUM_BYTES)).cell
          expect(traceCell(stored, tokens.slice(1))).toEqual(traceCell(cell, tokens.slice(1)))
        }
      }
    }),
    { numRuns: propertyRuns(120, 120) },
  )
  expect([set > MIN_COVERED, removed > MIN_COVERED]).toEqual([true, true])
})

test('a pointer is read as it was written', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 6 }), { maxLength: 8 }), (tokens) => {
      expect(parsePointer(formatPointer(tokens))).toEqual(tokens)
    }),
    { numRuns: propertyRuns(500) },
  )
  const wrong = ['a', 'a/b', '/~', '/~2', '/a~', '#/a', `/${'a/'.repeat(61)}`, `/${'a'.repeat(9000)}`]
  for (const each of wrong) expect([each, parsePointer(each)]).toEqual([each, undefined])
  expect(parsePointer('/a~1b/~0/~01//')).toEqual(['a/b', '~', '~1', '', ''])
})
