import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildPart, buildPatch, buildSnapshot } from '../../src/record/build.ts'
import { canonicalText, checkCanonical } from '../../src/record/canonical.ts'
import { decodeBatch, encodeBatch, encodedBytes } from '../../src/record/codec.ts'
import { nobleEngine } from '../../src/record/engine.ts'
import { RecordError } from '../../src/record/errors.ts'
import { parseAvatar, parseSecretKey } from '../../src/record/keys.ts'
import { compareUtf8, utf8Length } from '../../src/record/order.ts'
import { decodePayload, encodePayload } from '../../src/record/payload.ts'
import { parseSignature, splitSignature } from '../../src/record/signature.ts'
import type { JsonObject, RecordBody, RecordId } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { propertyRuns } from '../support/runs.ts'
import { AVATAR, NETWORK, PATCH, PART, SNAPSHOT, text, utf8, UUID } from './fixtures.ts'

const INHERITED = [
  '__proto__',
  'constructor',
  'prototype',
  'hasOwnProperty',
  'toString',
  'toJSON',
  '10',
  '2',
  '\uff5e',
  '😀',
]
const key = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 4 }), fc.constantFrom(...INHERITED))
const { object: jsonObject, value: jsonValue } = fc.letrec<{ object: JsonObject; value: JsonObject[string] }>(
  (tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constantFrom('\ud800', 'a\udc00', '\udc00\ud800', '\\ud800'),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((each) => (Object.is(each, -0) ? 0 : each)),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      tie('object'),
    ),
    // Parsed, so that every key is an own property.
    object: fc
      .uniqueArray(fc.tuple(key, tie('value')), { maxLength: 5, selector: ([name]) => name })
      .map(
        (entries) =>
          JSON.parse(`{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`)}}`) as JsonObject,
      ),
  }),
)
const wellFormed = (value: unknown): boolean => !/\\ud[89a-f]/.test(JSON.stringify(value))
const content = jsonObject.filter(wellFormed)

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b): RecordId => `0x${Buffer.from(b).toString('hex')}`)
const prev = fc.uniqueArray(fc.record({ counter: fc.integer({ min: 1, max: 1_000_000 }), id }), {
  maxLength: 20,
  selector: (each) => each.id,
})
const identity = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((each) => {
  return wellFormed(each) && ![...each].some((c) => c < ' ') && utf8Length(each) <= 256
})
const platform = fc.stringMatching(/^[a-z0-9._-]{1,64}$/).filter((each) => each !== 'nextid')
const namespace = fc.oneof(
  fc.record({ platform, identity }),
  fc.constant({ platform: 'nextid', identity: AVATAR as string }),
)
const state = fc.uniqueArray(
  fc.tuple(namespace, content).map(([names, each]) => ({ ...names, content: each })),
  { maxLength: 5, selector: (each) => JSON.stringify([each.platform, each.identity]) },
)
const common = { avatar: AVATAR, network: NETWORK, createdAt: 1_790_000_000, uuid: UUID }
const body = fc.oneof(
  fc
    .tuple(namespace, content, prev)
    .map(([names, patch, cites]): RecordBody => buildPatch({ ...common, ...names, patch, prev: cites })),
  fc
    .tuple(state, prev, fc.uniqueArray(id, { maxLength: 5 }))
    .map(([entries, cites, parts]): RecordBody => buildSnapshot({ ...common, state: entries, prev: cites, parts })),
  fc.tuple(state, fc.integer({ min: 1, max: 1_000 })).map(([entries, counter]): RecordBody => {
    return buildPart({ ...common, state: entries, counter })
  }),
)

/** What a run gives, or the code of the RecordError that it throws; anything else thrown fails the test. */
function outcome<T>(run: () => T): T | string {
  try {
    return run()
  } catch (error) {
    if (error instanceof RecordError) return error.code
    throw error
  }
}

describe('payloads', () => {
  it('decode to what was encoded, and encode to what was decoded', () => {
    fc.assert(
      fc.property(body, (built) => {
        const payload = encodePayload(built)
        const decoded = decodePayload(payload, NETWORK)
        expect(canonicalText(decoded)).toBe(canonicalText(built))
        expect(Buffer.from(payload).equals(encodePayload(decoded))).toBe(true)
      }),
      { numRuns: propertyRuns(500) },
    )
  })

  it('are canonical exactly if the reference implementation says so', () => {
    const reference = (json: string): boolean => {
      try {
        return canonicalize(JSON.parse(json)) === json
      } catch {
        return false
      }
    }
    /** JSON text of a value with choices that a canonical form does not leave. */
    const written = fc.tuple(jsonValue, fc.nat(7), fc.boolean()).map(([value, style, sorted]) => {
      const json = sorted && wellFormed(value) ? (canonicalize(value) ?? '') : JSON.stringify(value)
      const styles = [
        (each: string) => each,
        (each: string) => each,
        (each: string) => each.replace(',', ', '),
        (each: string) => each.replace(/[0-9]/, '$&.0'),
        (each: string) => each.replace(/[a-z]/, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`),
        (each: string) => each.replace(/\\u00../, (escape) => escape.toUpperCase().replace('U', 'u')),
        (each: string) => each.replace(/\{"/, '{"a":1,"'),
        (each: string) => each.replace(/[0-9]+/, '1e999'),
      ]
      return styles[style]?.(json) ?? json
    })
    let canonical = 0
    let total = 0
    fc.assert(
      fc.property(written, (json) => {
        let value: unknown
        try {
          value = JSON.parse(json)
        } catch {
          return
        }
        total++
        const verdict = outcome(() => {
          checkCanonical(json, value)
          return true
        })
        if (verdict === true) canonical++
        expect(verdict === true).toBe(reference(json))
      }),
      { numRuns: propertyRuns(5_000) },
    )
    expect(canonical).toBeGreaterThan(total / 10)
    expect(canonical).toBeLessThan(total)
  })

  it('give nothing but a RecordError for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(typeof outcome(() => decodePayload(bytes, NETWORK))).toBe('string')
      }),
      { numRuns: propertyRuns(3_000) },
    )
  })

  it('give nothing but a RecordError or a body that encodes to them for mutated ones', () => {
    const valid = [PATCH, SNAPSHOT, PART].map((members) => utf8(text(members)))
    const json = jsonValue.map((value) => utf8(JSON.stringify(value)))
    const mutation = fc.record({
      at: fc.nat(400),
      remove: fc.nat(3),
      insert: fc.oneof(fc.uint8Array({ maxLength: 3 }), json),
    })
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        (original, mutations) => {
          const payload = mutations.reduce((bytes, { at, remove, insert }) => {
            return Uint8Array.from([...bytes.slice(0, at), ...insert, ...bytes.slice(at + remove)])
          }, original)
          const result = outcome(() => decodePayload(payload, NETWORK))
          if (typeof result !== 'string') expect(Buffer.from(payload).equals(encodePayload(result))).toBe(true)
        },
      ),
      { numRuns: propertyRuns(3_000) },
    )
  })

  it('give nothing but a RecordError for any JSON in the place of a member', () => {
    const names = [
      'avatar',
      'counter',
      'created_at',
      'identity',
      'network',
      'patch',
      'platform',
      'prev',
      'uuid',
      'state',
      'parts',
    ]
    const place = fc.tuple(fc.constantFrom(PATCH, SNAPSHOT, PART), fc.constantFrom(...names), jsonValue)
    fc.assert(
      fc.property(place, ([members, name, value]) => {
        const payload = utf8(text(members, { [name]: JSON.stringify(value) }))
        const result = outcome(() => decodePayload(payload, NETWORK))
        if (typeof result !== 'string') expect(Buffer.from(payload).equals(encodePayload(result))).toBe(true)
      }),
      { numRuns: propertyRuns(3_000) },
    )
  })
})

describe('other input', () => {
  it('gives nothing but a RecordError', () => {
    const bytes = fc.uint8Array({ maxLength: 150 })
    fc.assert(
      fc.property(
        bytes,
        bytes,
        fc.string({ maxLength: 140 }),
        fc.boolean(),
        (payload, signature, typed, recoveryByte) => {
          outcome(() => verifyRecord(nobleEngine, NETWORK, { payload, signature }, { recoveryByte }))
          outcome(() => splitSignature(signature, recoveryByte))
          outcome(() => decodeBatch(payload))
          for (const each of [
            typed,
            `0x${Buffer.from(signature).toString('hex')}`,
            Buffer.from(payload).toString('base64'),
          ]) {
            outcome(() => parseAvatar(each))
            outcome(() => parseSecretKey(each))
            outcome(() => parseSignature(each))
          }
        },
      ),
      { numRuns: propertyRuns(3_000) },
    )
  })

  it('batches decode to what was encoded, and mutated ones to a RecordError or records', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((each) => Uint8Array.from(each))
    const records = fc.array(fc.record({ payload: bytes, signature: bytes }), { maxLength: 8 })
    fc.assert(
      fc.property(records, fc.nat(2_000), fc.nat(255), (list, at, value) => {
        const encoded = encodeBatch(list)
        expect(encoded).toHaveLength(list.reduce((sum, each) => sum + encodedBytes(each), 0))
        expect(decodeBatch(encoded)).toEqual(list)
        if (encoded.length > 0) encoded[at % encoded.length] = value
        outcome(() => decodeBatch(encoded))
      }),
      { numRuns: propertyRuns(2_000) },
    )
  })
})

describe('order', () => {
  const any = fc.string({ unit: 'binary', maxLength: 6 })
  const near = fc
    .array(
      fc.constantFrom(
        'a',
        'b',
        '\u007f',
        '\u0080',
        '\u07ff',
        '\u0800',
        '\ud7ff',
        '\ue000',
        '\uffff',
        '😀',
        '\u{10ffff}',
      ),
    )
    .map((e) => e.join(''))

  it('of texts is that of their UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.oneof(any, near), fc.oneof(any, near), (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
        expect(utf8Length(a)).toBe(Buffer.byteLength(a))
      }),
      { numRuns: propertyRuns(5_000) },
    )
  })
})
