import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../../src/sync/errors.ts'
import { decodeFrame } from '../../src/sync/frame-decoder.ts'
import { encodeFrame } from '../../src/sync/frame-encoder.ts'
import type { Frame } from '../../src/sync/frame-types.ts'
import { MAX_NEGENTROPY_BYTES } from '../../src/sync/limits.ts'
import { propertyRuns } from '../support/runs.ts'

const bytes = (max: number) => fc.uint8Array({ maxLength: max })
const id = fc.uint8Array({ minLength: 32, maxLength: 32 })
const ids = (min: number) =>
  fc.array(id, { minLength: min, maxLength: 6 }).map((all) => Uint8Array.from(all.flatMap((each) => [...each])))
const count = fc.maxSafeNat()
const bound = fc.record({ timestamp: count, id: bytes(32) })

/** A list of avatars, ascending, with a fingerprint each. */
const list = fc
  .uniqueArray(fc.uint8Array({ minLength: 33, maxLength: 33 }), { maxLength: 5, selector: String })
  .map((avatars) => ({
    avatars: Uint8Array.from(avatars.sort(Buffer.compare).flatMap((avatar) => [...avatar])),
    fingerprints: new Uint8Array(avatars.length * 16).fill(9),
  }))

const record = fc.record({ payload: bytes(40), signature: bytes(64) })

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    version: fc.nat(5),
    network: fc.stringMatching(/^[a-z0-9-]{1,32}$/),
    purpose: fc.constantFrom('reconcile' as const, 'fetch' as const),
    list: fc.option(list),
    count,
    opening: bytes(40),
    mark: fc.option(bound),
  }),
  fc.record({
    kind: fc.constant('welcome' as const),
    count,
    below: count,
    answer: bytes(500),
    list: fc.option(list),
    common: bytes(10),
    differing: bytes(10),
  }),
  fc.record({
    kind: fc.constant('refusal' as const),
    code: fc.constantFrom(
      'unknown',
      'wrong_network',
      'unsupported_version',
      'busy',
      'full',
      'reversed',
      'stopping',
      'scope',
    ),
  }),
  fc.record({ kind: fc.constant('reconcile' as const), pass: fc.nat(), message: bytes(300), subset: bytes(9) }),
  fc.record({ kind: fc.constant('reconciled' as const), pass: fc.nat(), message: bytes(300) }),
  fc.record({ kind: fc.constant('bulk' as const), from: bound }),
  fc.record({ kind: fc.constant('request' as const), ids: ids(1) }),
  fc.record({ kind: fc.constant('records' as const), records: fc.array(record, { minLength: 1, maxLength: 5 }) }),
  fc.record({ kind: fc.constant('delivered' as const), missing: ids(0) }),
  fc.record({
    kind: fc.constant('taken' as const),
    refused: fc.array(fc.record({ id, retrySeconds: count }), { maxLength: 5 }),
  }),
)

/** The same, with plain arrays for whatever kind of bytes. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? [...each] : each)))
}

describe('frames', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(frame, (sent) => {
        expect(plain(decodeFrame(encodeFrame(sent)))).toEqual(plain(sent))
      }),
      { numRuns: propertyRuns(500) },
    )
  })

  test('of whatever bytes are frames or errors', () => {
    const change = fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { maxLength: 4 })
    fc.assert(
      fc.property(frame, change, fc.nat(), (sent, changes, length) => {
        const encoded = encodeFrame(sent)
        for (const { at, to } of changes) encoded[at % encoded.length] = to
        try {
          decodeFrame(length % 3 === 0 ? encoded.subarray(0, length % encoded.length) : encoded)
        } catch (error) {
          expect(error).toBeInstanceOf(SyncError)
          expect((error as SyncError).blame).toBe(true)
        }
      }),
      { numRuns: propertyRuns(3_000) },
    )
  })

  test('are what sync.proto says, byte for byte', () => {
    const opening = Uint8Array.from([0x61, 0, 0, 1, ...Array.from({ length: 16 }, (_, at) => at)])
    const mark = { timestamp: 300, id: Uint8Array.of(5) }
    const hello = { version: 2, network: 'main', purpose: 'fetch', list: null, count: 150, opening, mark } as const
    expect(Buffer.from(encodeFrame({ kind: 'hello', ...hello })).toString('hex')).toBe(
      '0a2b' +
        '0802' +
        '12046d61696e' +
        '1801' +
        '289601' +
        '321461000001' +
        '000102030405060708090a0b0c0d0e0f' +
        '3a06' +
        '08ac02' +
        '120105',
    )
    expect(encodeFrame({ kind: 'delivered', missing: new Uint8Array(0) })).toEqual(Uint8Array.of(0x4a, 0))
  })

  test('what a later version adds is ignored', () => {
    const known = encodeFrame({ kind: 'refusal', code: 'busy' })
    // Field 99 of the frame, a fixed64; and field 9 of the body, a text.
    const outer = Uint8Array.from([0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, ...known])
    const inner = Uint8Array.from([0x1a, known.length - 2 + 4, ...known.subarray(2), 0x4a, 2, 0x68, 0x69])
    expect(decodeFrame(outer)).toEqual({ kind: 'refusal', code: 'busy' })
    expect(decodeFrame(inner)).toEqual({ kind: 'refusal', code: 'busy' })
    expect(decodeFrame(Uint8Array.of(0x1a, 2, 8, 77))).toEqual({ kind: 'refusal', code: 'unknown' })
  })

  test.each<[string, Frame]>([
    ['a Negentropy message', { kind: 'reconciled', pass: 1, message: new Uint8Array(MAX_NEGENTROPY_BYTES + 1) }],
    ['a request', { kind: 'request', ids: new Uint8Array(1_025 * 32) }],
    ['a list', helloWith(10_001)],
    [
      'a frame of records',
      {
        kind: 'records',
        records: Array.from({ length: 2_761 }, () => ({ payload: Uint8Array.of(1), signature: Uint8Array.of(1) })),
      },
    ],
    ['a bound', { kind: 'bulk', from: { timestamp: 1, id: new Uint8Array(33) } }],
  ])('%s that is too large', (_, sent) => {
    expect(() => decodeFrame(encodeFrame(sent))).toThrow(SyncError)
  })

  test('a list of 10,000 avatars', () => {
    expect(decodeFrame(encodeFrame(helloWith(10_000)))).toMatchObject({ kind: 'hello' })
  })
})

function helloWith(avatars: number): Frame {
  const keys = new Uint8Array(avatars * 33)
  for (let at = 0; at < avatars; at += 1) new DataView(keys.buffer).setUint32(at * 33, at)
  const made = { avatars: keys, fingerprints: new Uint8Array(avatars * 16) }
  const known = {
    version: 2,
    network: 'main',
    purpose: 'reconcile',
    count: 0,
    opening: new Uint8Array(0),
    mark: null,
  } as const
  return { kind: 'hello', ...known, list: made }
}
