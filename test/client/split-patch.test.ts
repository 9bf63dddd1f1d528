import { describe, expect, it } from 'vitest'
import { privateKeySigner } from '../../src/client/signers.ts'
import { signPieces } from '../../src/client/sign-patch.ts'
import { splitPatch } from '../../src/client/split-patch.ts'
import { nobleEngine } from '../../src/record/engine.ts'
import { MAX_PAYLOAD_BYTES } from '../../src/record/limits.ts'
import type { JsonObject, JsonValue } from '../../src/record/types.ts'
import { applyMergePatch } from '../../src/state/merge-patch.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { newKey } from '../support/keys.ts'

const signer = privateKeySigner(newKey())
const target = { avatar: signer.avatar, network: 'main', platform: 'nextid', identity: signer.avatar }
const context = { network: 'main', engine: nobleEngine, now: Date.now }

const wide: JsonObject = Object.fromEntries(
  Array.from({ length: 25_000 }, (_, at) => [`k${at}`, at % 7 === 0 ? null : at]),
)
const heavy: JsonObject = Object.fromEntries(
  Array.from({ length: 20 }, (_, at) => [`é"${at}`, { text: '"\\\n'.repeat(10_000), gone: null, list: [null, at] }]),
)
const before: JsonObject = { k0: { old: 1 }, k7: 7, deep: 'text', 'é"0': { gone: 1, kept: 2 }, other: [1] }

describe('a patch that is too large for a record', () => {
  it.each<[string, JsonObject]>([
    ['many members', wide],
    ['large members', heavy],
    ['deep', { deep: { er: { wide, heavy } }, 'é"0': null, empty: {} }],
    ['an object that only deletes', { other: Object.fromEntries(Object.keys(wide).map((key) => [key, null])) }],
  ])('%s: pieces that fit, and do the same', async (_, patch) => {
    const pieces = splitPatch(target, patch)
    expect(pieces.length).toBeGreaterThan(1)
    const after = pieces.reduce<JsonValue>((value, piece) => applyMergePatch(value, piece), before)
    expect(canonicalText(after)).toBe(canonicalText(applyMergePatch(before, patch)))
    // As many tips as can be cited, with the longest counters.
    const tips = Array.from({ length: 40 }, (_, at) => ({
      counter: 1_000_000_000 + at,
      id: `0x${String(at).padStart(64, '0')}` as const,
    }))
    const records = await signPieces(
      context,
      signer,
      tips,
      pieces.map((piece) => ({ ...target, patch: piece })),
    )
    expect(records.map(({ payload }) => payload.length <= MAX_PAYLOAD_BYTES)).not.toContain(false)
    expect(records.length).toBe(pieces.length)
    // Each goes on from the one before; tips that did not fit into the first are cited by the next.
    const cited = new Set(records.flatMap(({ body }) => (body.type === 'patch' ? body.prev.map(({ id }) => id) : [])))
    for (const record of records.slice(0, -1)) expect(cited).toContain(record.id)
    for (const tip of tips.slice(24)) expect(cited).toContain(tip.id)
    if (records.length > 2) for (const tip of tips) expect(cited).toContain(tip.id)
  })

  it('stays one where it fits', () => {
    const patch = { a: null, b: {}, c: 'x'.repeat(200_000) }
    expect(splitPatch(target, patch)).toEqual([patch])
    expect(splitPatch(target, {})).toEqual([{}])
  })

  it('is refused where one value fits into no record', () => {
    const refusal = (patch: JsonObject): unknown => {
      try {
        return splitPatch(target, patch)
      } catch (error) {
        return error
      }
    }
    expect(refusal({ a: { b: 'x'.repeat(300_000) } })).toMatchObject({ code: 'too_large', path: '/a/b' })
    expect(refusal({ a: Array.from({ length: 10_001 }, () => 0) })).toMatchObject({ code: 'too_large', path: '/a' })
    expect(refusal({ a: '\ud800' })).toMatchObject({ code: 'invalid_change', path: '/a' })
  })
})
