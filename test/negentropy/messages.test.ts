/** Messages worked out by hand from docs/negentropy-protocol-v1.md, or by the independent encoder of spec-message.ts. */
import { describe, expect, test } from 'vitest'

import { createMemoryIndex, Negentropy, type Item, type NegentropyOptions } from '../../src/negentropy/negentropy.ts'
import { hex, readSpecMessage, specFingerprint, specMessage, specVarint, unhex } from './spec-message.ts'

const id = (first: number, last = 0) =>
  `${first.toString(16).padStart(2, '0')}${'00'.repeat(30)}${last.toString(16).padStart(2, '0')}`
const item = (timestamp: number, hexId: string): Item => ({ timestamp, id: unhex(hexId) })
const A = id(0x0a)
const B = id(0x0b)

async function answer(items: Item[], message: string, options?: NegentropyOptions): Promise<string | null> {
  const result = await new Negentropy(createMemoryIndex(items), options).reconcile(unhex(message))
  expect(result.have).toEqual([])
  expect(result.need).toEqual([])
  return result.message && hex(result.message)
}

const initial = async (items: Item[]) => hex(await new Negentropy(createMemoryIndex(items)).initiate())

async function finish(items: Item[], message: string) {
  const initiator = new Negentropy(createMemoryIndex(items))
  await initiator.initiate()
  const result = await initiator.reconcile(unhex(message))
  return {
    message: result.message && hex(result.message),
    have: result.have.map(hex).sort(),
    need: result.need.map(hex).sort(),
  }
}

describe('the second encoder', () => {
  test('writes numbers as the specification says', () => {
    // 127 is one digit; 128 = 1·128 + 0; 300 = 2·128 + 44; 2^53 = 16·128^7, so 16, then seven zero digits.
    expect([0, 127, 128, 300, 2 ** 53].map(specVarint)).toEqual(['00', '7f', '8100', '822c', '9080808080808000'])
  })

  test('hashes as sha256sum does', () => {
    // 2^256 − 1 and 1 (first byte lowest) sum up to 0: 32 zero bytes and the count 2.
    expect(specFingerprint(['ff'.repeat(32), `01${'00'.repeat(31)}`])).toBe('58cc2f44d3a27866874701fbad573da9')
    expect(specFingerprint([])).toBe('7f9c9e31ac8256ca2f258583df262dbc')
    expect(specFingerprint([id(1), id(2)])).toBe('055ec405febfad804c1c5638d7369361')
  })
})

describe('a first message', () => {
  test('of nothing: version, bound at infinity without prefix, mode 2, no ids', async () => {
    expect(await initial([])).toBe('6100000200')
  })

  test('of one item: the same with one id', async () => {
    expect(await initial([item(5, A)])).toBe(`6100000201${A}`)
  })

  test('of two items: ids by timestamp, then by id, not as they were given', async () => {
    expect(await initial([item(6, A), item(5, B), item(5, A.replace('0a', '0c'))])).toBe(
      `6100000203${B}${A.replace('0a', '0c')}${A}`,
    )
  })

  test('of 31 items is a list, of 32 items 16 fingerprints of 2 each', async () => {
    const items = Array.from({ length: 32 }, (_, at) => item(1000 + at, id(at)))
    expect((await initial(items.slice(0, 31))).slice(0, 10)).toBe('610000021f')
    const message = await initial(items)
    // First bound 1002, encoded 1003 = 7·128 + 107 = 876b, no prefix, mode 1; the next ones 2 more, encoded 03.
    const first = `61876b0001${specFingerprint([id(0), id(1)])}`
    const second = `030001${specFingerprint([id(2), id(3)])}`
    const last = `000001${specFingerprint([id(30), id(31)])}`
    expect(message.startsWith(first + second)).toBe(true)
    expect(message.endsWith(last)).toBe(true)
    expect(message.length / 2).toBe(1 + 20 + 15 * 19)
  })

  test('splits 35 items into 3 + 3 + 3 + 2 + …', async () => {
    const items = Array.from({ length: 35 }, (_, at) => item(at, id(at)))
    const ranges = readSpecMessage(unhex(await initial(items)))
    expect(ranges.map((range) => range.timestamp)).toEqual([
      3,
      6,
      9,
      11,
      13,
      15,
      17,
      19,
      21,
      23,
      25,
      27,
      29,
      31,
      33,
      undefined,
    ])
  })

  test('with one timestamp takes the shared bytes of the ids and one more as prefix', async () => {
    // Ids of pairs 00…00, 00…01, 01…00, 01…01, …: between two pairs the first byte differs.
    const items = Array.from({ length: 32 }, (_, at) => item(7, id(at >> 1, at & 1)))
    const even = await initial(items)
    // Timestamp 7, encoded 8, then prefix 01; then the same timestamp again, encoded 1, and prefix 02.
    expect(even.startsWith(`61080101${'01'}${specFingerprint([id(0), id(0, 1)])}010102`)).toBe(true)
    // One item more in the first parts: 000 | 111 …: cuts fall between equal first bytes, 32 bytes are needed.
    const odd = readSpecMessage(unhex(await initial([...items, item(7, id(0, 2))])))
    expect(odd[0]?.prefix).toBe('01')
    const shifted = readSpecMessage(unhex(await initial([...items.slice(1), item(7, id(255))])))
    expect(shifted[0]?.prefix).toBe(id(1, 1))
  })

  test('of the greatest timestamps: 2^53 − 1 is encoded as 2^53', async () => {
    const items = Array.from({ length: 32 }, (_, at) => item(at < 2 ? 0 : 2 ** 53 - 1, id(at)))
    const message = await initial(items)
    expect(message.startsWith(`6190808080808080000001${specFingerprint([id(0), id(1)])}0101`)).toBe(true)
    // The responder reads it: equal sets, so there is nothing to say.
    expect(await answer(items, message)).toBe('61')
  })
})

describe('an answer', () => {
  test('to a list is the own list of the range', async () => {
    expect(await answer([item(5, A)], '6100000200')).toBe(`6100000201${A}`)
    expect(await answer([], `6100000201${A}`)).toBe('6100000200')
  })

  test('to no ranges, or only ranges to skip, is nothing', async () => {
    expect(await answer([item(5, A)], '61')).toBe('61')
    expect(await answer([item(5, A)], '61030000000000')).toBe('61')
  })

  test('to an equal fingerprint is nothing, to another one a list', async () => {
    const both = [item(5, A), item(6, B)]
    expect(await answer(both, specMessage([{ timestamp: undefined, fingerprint: specFingerprint([A, B]) }]))).toBe('61')
    expect(await answer(both, specMessage([{ timestamp: undefined, fingerprint: specFingerprint([A]) }]))).toBe(
      `6100000202${A}${B}`,
    )
  })

  test('counts equal sums of another number as different', async () => {
    // ids 3 and 1 + 2: one sum, two numbers.
    const message = specMessage([{ timestamp: undefined, fingerprint: specFingerprint([id(3)]) }])
    expect(await answer([item(1, id(1)), item(1, id(2))], message)).toBe(`6100000202${id(1)}${id(2)}`)
  })

  test('skips once up to the range that differs, and says nothing after the last one', async () => {
    const items = [item(10, A), item(20, B), item(30, id(0x0c)), item(40, id(0x0d))]
    const message = specMessage([
      { timestamp: 10 },
      { timestamp: 20, fingerprint: specFingerprint([A]) },
      { timestamp: 25 },
      { timestamp: 35, ids: [] },
      { timestamp: undefined, fingerprint: specFingerprint([id(0x0d)]) },
    ])
    // Skip to 25 (encoded 26 = 1a), then to 35 (encoded 11 = 0b) a list of one.
    expect(await answer(items, message)).toBe(`611a00000b000201${id(0x0c)}`)
  })

  test('takes lower bounds as inclusive and upper bounds as exclusive, prefixes padded with zeros', async () => {
    const items = [item(10, id(1)), item(10, id(1, 1)), item(10, id(2)), item(11, id(0))]
    const ask = (prefix: string) =>
      answer(items, specMessage([{ timestamp: 10, prefix }, { timestamp: 11, ids: [] }, { timestamp: undefined }]))
    const told = async (prefix: string) =>
      readSpecMessage(unhex((await ask(prefix)) ?? '')).flatMap((range) => range.ids ?? [])
    expect(await told('')).toEqual([id(1), id(1, 1), id(2)])
    expect(await told('01')).toEqual([id(1), id(1, 1), id(2)])
    expect(await told(id(1, 1))).toEqual([id(1, 1), id(2)])
    expect(await told('0100000001')).toEqual([id(2)])
    expect(await told('03')).toEqual([])
  })

  test('to an initiator gives what each side alone has', async () => {
    expect(await finish([], `6100000201${A}`)).toEqual({ message: null, have: [], need: [A] })
    expect(await finish([item(5, A)], '6100000200')).toEqual({ message: null, have: [A], need: [] })
    expect(await finish([item(5, A)], `6100000201${A}`)).toEqual({ message: null, have: [], need: [] })
    expect(await finish([item(5, A)], `6100000201${B}`)).toEqual({ message: null, have: [A], need: [B] })
    // Version alone: everything is skipped.
    expect(await finish([item(5, A)], '61')).toEqual({ message: null, have: [], need: [] })
  })

  test('takes an empty range after infinity, with which the reference implementation ends a full frame', async () => {
    const message = `6100000201${A}000001${specFingerprint([])}`
    expect(await finish([], message)).toEqual({ message: null, have: [], need: [A] })
    expect(await answer([], message)).toBe('6100000200')
  })
})

describe('versions', () => {
  test('a responder answers another version with its own', async () => {
    expect(await answer([item(5, A)], '62aabbccddeeff')).toBe('61')
    expect(await answer([item(5, A)], '60')).toBe('61')
  })

  test('and then goes on in version 1', async () => {
    const responder = new Negentropy(createMemoryIndex([item(5, A)]))
    await responder.reconcile(unhex('62ff'))
    expect(hex((await responder.reconcile(unhex('6100000200'))).message as Uint8Array)).toBe(`6100000201${A}`)
  })

  test('an initiator gives up', async () => {
    await expect(finish([], '62')).rejects.toMatchObject({ name: 'NegentropyError', code: 'unsupported_version' })
    await expect(finish([], '60')).rejects.toMatchObject({ code: 'unsupported_version' })
  })

  test('what is no version byte is refused', async () => {
    await expect(answer([], '5f')).rejects.toMatchObject({ code: 'unsupported_version' })
    await expect(answer([], '7b7d')).rejects.toMatchObject({ code: 'unsupported_version' })
  })
})

describe('a full frame', () => {
  const items = Array.from({ length: 300 }, (_, at) => item(1000 + at, id(at >> 8, at & 0xff)))
  const ids = items.map((each) => hex(each.id))

  test('has as many ids as fit and the fingerprint of the rest', async () => {
    const message = unhex((await answer(items, '6100000200', { frameSizeLimit: 4096 })) ?? '')
    expect(message.length).toBeLessThanOrEqual(4096)
    expect(message.length).toBeGreaterThan(4096 - 200)
    const [list, rest, ...others] = readSpecMessage(message)
    const told = list?.ids?.length ?? 0
    expect(list?.ids).toEqual(ids.slice(0, told))
    expect(list?.timestamp).toBe(1000 + told)
    expect(rest).toEqual({ timestamp: undefined, prefix: '', fingerprint: specFingerprint(ids.slice(told)) })
    expect(others).toEqual([])
  })

  test('begins the fingerprint of the rest where the last range that it tells ends', async () => {
    // 60 ranges of 5 items, all different, all lists: 60 × 5 × 32 bytes do not fit.
    const asked = Array.from({ length: 60 }, (_, at) => ({ timestamp: 1005 + at * 5, ids: [] }))
    const message = (await answer(items, specMessage(asked), { frameSizeLimit: 4096 })) ?? ''
    const ranges = readSpecMessage(unhex(message))
    const told = ranges.flatMap((range) => range.ids ?? [])
    expect(message.length / 2).toBeLessThanOrEqual(4096)
    expect(told).toEqual(ids.slice(0, told.length))
    expect(told.length).toBeGreaterThan(110)
    expect(ranges.at(-1)).toEqual({
      timestamp: undefined,
      prefix: '',
      fingerprint: specFingerprint(ids.slice(told.length)),
    })
  })

  test('is not made of what is equal', async () => {
    const asked = Array.from({ length: 60 }, (_, at) => ({
      timestamp: 1005 + at * 5,
      fingerprint: specFingerprint(ids.slice(at * 5, at * 5 + 5)),
    }))
    expect(await answer(items, specMessage(asked), { frameSizeLimit: 4096 })).toBe('61')
  })
})
