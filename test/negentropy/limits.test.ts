import { describe, expect, test } from 'vitest'

import {
  createMemoryIndex,
  Negentropy,
  type Item,
  type NegentropyOptions,
  type RangeIndex,
} from '../../src/negentropy/negentropy.ts'
import { difference, randomFrom, randomItems, runSession } from './sets.ts'
import { hex, readSpecMessage, specFingerprint, specMessage, unhex } from './spec-message.ts'

const ids = (count: number) => Array.from({ length: count }, (_, at) => (at + 1).toString(16).padStart(64, '0'))

describe('a malformed message', () => {
  const A = ids(1)[0] as string
  const fingerprint = '00'.repeat(16)
  const MALFORMED: [name: string, message: string, code: string][] = [
    ['nothing', '', 'truncated'],
    ['half a bound', '6100', 'truncated'],
    ['no mode', '610000', 'truncated'],
    ['a number that does not end', '61ff', 'truncated'],
    ['a prefix cut short', '61050401', 'truncated'],
    ['a fingerprint cut short', `61000001${fingerprint.slice(2)}`, 'truncated'],
    ['a trailing byte', `6100000201${A}00`, 'truncated'],
    ['a trailing range that is none', '6100000200000003', 'bad_mode'],
    ['mode 3', '61000003', 'bad_mode'],
    ['a great mode', '6100009080808080808000', 'bad_mode'],
    ['a list without length', '61000002', 'truncated'],
    ['a list longer than the message', `6100000202${A}`, 'bad_id_list'],
    ['a list with an id of 31 bytes', `6100000201${A.slice(2)}`, 'bad_id_list'],
    ['a list of 2^53 ids', `610000029080808080808000${A}`, 'bad_id_list'],
    ['a prefix of 33 bytes', `610521${A}0000`, 'bad_bound'],
    ['a prefix at infinity', '6100010100', 'bad_bound'],
    ['a bound at the very beginning', '61010000', 'bad_bound'],
    ['the same bound twice', '610500000100000000', 'bad_bound'],
    ['the same bound, padded', '61050101000102010000', 'bad_bound'],
    ['a lower prefix after a higher one', '61050102000101010000', 'bad_bound'],
    ['a timestamp after infinity', '61000000050000', 'bad_bound'],
    ['a timestamp of 2^53', '6190808080808080000000020000', 'bad_bound'],
    ['2^53 + 1', '6190808080808080010000', 'bad_varint'],
    ['2^56 − 1', '61ffffffffffffff7f0000', 'bad_varint'],
    ['nine digits', '6181808080808080800000', 'bad_varint'],
    ['a leading zero digit', '6180050000', 'bad_varint'],
    ['a zero of two digits', '6180000000', 'bad_varint'],
    ['text', '7b7d', 'unsupported_version'],
  ]

  test.each(MALFORMED)('%s is refused by both sides', async (_name, message, code) => {
    const responder = new Negentropy(createMemoryIndex([]))
    await expect(responder.reconcile(unhex(message))).rejects.toMatchObject({ name: 'NegentropyError', code })
    const initiator = new Negentropy(createMemoryIndex([]))
    await initiator.initiate()
    await expect(initiator.reconcile(unhex(message))).rejects.toMatchObject({ name: 'NegentropyError', code })
  })

  test('changes nothing, even if it goes wrong at its end: the index is not read, and the session goes on', async () => {
    let reads = 0
    const index = createMemoryIndex(randomItems(100, 1, (at) => at))
    const counted: RangeIndex = {
      size: () => index.size(),
      sum: (begin, end) => ((reads += 1), index.sum(begin, end)),
      items: (begin, end) => ((reads += 1), index.items(begin, end)),
      lowerBound: (begin, end, bound) => ((reads += 1), index.lowerBound(begin, end, bound)),
    }
    const responder = new Negentropy(counted)
    const message = specMessage([
      { timestamp: 50, ids: [] },
      { timestamp: 60, fingerprint },
    ])
    await expect(responder.reconcile(unhex(`${message}05`))).rejects.toMatchObject({ code: 'truncated' })
    expect(reads).toBe(0)
    expect((await responder.reconcile(unhex(message))).message?.length).toBeGreaterThan(1000)
  })

  test('an id twice in one list is refused by an initiator', async () => {
    const initiator = new Negentropy(createMemoryIndex([]))
    await initiator.initiate()
    await expect(initiator.reconcile(unhex(`6100000202${A}${A}`))).rejects.toMatchObject({ code: 'bad_id_list' })
  })
})

describe('an initiator ends', () => {
  async function against(
    answer: (round: number, message: Uint8Array) => string,
    options?: NegentropyOptions,
    items: Item[] = randomItems(5000, 2, (at) => at),
  ): Promise<{ rounds: number; have: string[]; need: string[]; code: string }> {
    const initiator = new Negentropy(createMemoryIndex(items), options)
    const have: string[] = []
    const need: string[] = []
    let message: Uint8Array | null = await initiator.initiate()
    let rounds = 0
    try {
      for (; message !== null; rounds += 1) {
        const result = await initiator.reconcile(unhex(answer(rounds, message)))
        have.push(...result.have.map(hex))
        need.push(...result.need.map(hex))
        message = result.message
      }
    } catch (error) {
      return { rounds, have, need, code: String((error as { code: unknown }).code) }
    }
    return { rounds, have, need, code: 'ended' }
  }

  test('when the other side always says that all is different', async () => {
    const result = await against(() => specMessage([{ timestamp: undefined, fingerprint: '00'.repeat(16) }]))
    expect(result).toMatchObject({ rounds: 64, code: 'no_progress' })
  })

  test('when the other side names a new id for ever', async () => {
    // One new id in one more range, and all that follows is different.
    const answer = (round: number) =>
      specMessage([
        { timestamp: 1 + round },
        { timestamp: 2 + round, ids: [(round + 1).toString(16).padStart(64, 'f')] },
        { timestamp: undefined, fingerprint: '00'.repeat(16) },
      ])
    expect(await against(answer, { maxRounds: 100 })).toMatchObject({ rounds: 100, code: 'too_many_rounds' })
    expect(await against(answer, { maxIds: 50 })).toMatchObject({ code: 'too_many_ids' })
  })

  test('when the other side claims again and again to have nothing, naming no id twice', async () => {
    const items = randomItems(5000, 3, (at) => at)
    const result = await against(() => '6100000200', {}, items)
    expect(result.code).toBe('ended')
    expect(result.have.sort()).toEqual(difference(items, []))
  })

  test('when the other side opens again what was settled', async () => {
    // Ranks 0 … 9 (timestamps 0 … 9) are told to be lacking each time, everything behind to be different.
    const result = await against(() =>
      specMessage([
        { timestamp: 10, ids: [] },
        { timestamp: undefined, fingerprint: '00'.repeat(16) },
      ]),
    )
    expect(result.have.length).toBe(10)
    expect(result.code).toBe('no_progress')
  })

  test('a session of many ids names some at a time', async () => {
    const items = randomItems(3000, 4, (at) => at)
    const initiator = new Negentropy(createMemoryIndex(items), { maxHavePerMessage: 100 })
    const responder = new Negentropy(createMemoryIndex([]))
    const have: string[] = []
    for (let message: Uint8Array | null = await initiator.initiate(); message !== null;) {
      const result = await initiator.reconcile((await responder.reconcile(message)).message as Uint8Array)
      expect(result.have.length).toBeLessThanOrEqual(100)
      have.push(...result.have.map(hex))
      message = result.message
    }
    expect(have.sort()).toEqual(difference(items, []))
  })
})

describe('floods', () => {
  /** An index of so many items, which counts what is read of it. */
  function counting(count: number) {
    const index = createMemoryIndex(randomItems(count, 5, (at) => at * 10))
    const reads = { sums: 0, items: 0, bounds: 0 }
    const counted: RangeIndex = {
      size: () => index.size(),
      sum: (begin, end) => ((reads.sums += 1), index.sum(begin, end)),
      items: (begin, end) => ((reads.items += end - begin), index.items(begin, end)),
      lowerBound: (begin, end, bound) => ((reads.bounds += 1), index.lowerBound(begin, end, bound)),
    }
    return { counted, reads }
  }

  test.each([
    ['fingerprints', { fingerprint: '00'.repeat(16) }],
    ['empty lists', { ids: [] }],
    ['skips', {}],
  ])('of 100,000 tiny %s cost no more than their number', async (_name, payload) => {
    const { counted, reads } = counting(10_000)
    const ranges = Array.from({ length: 100_000 }, (_, at) => ({ timestamp: at + 1, ...payload }))
    const flood = unhex(specMessage(ranges))
    const { message } = await new Negentropy(counted).reconcile(flood)
    expect(reads.bounds).toBeLessThanOrEqual(100_001)
    expect(reads.sums).toBeLessThanOrEqual(100_000)
    expect(reads.items).toBeLessThanOrEqual(10_000)
    // The frame limit of 1 MiB by default.
    expect(message?.length).toBeLessThanOrEqual(2 ** 20)
  })

  test('a full frame ends the work', async () => {
    const { counted, reads } = counting(10_000)
    const ranges = Array.from({ length: 100_000 }, (_, at) => ({ timestamp: at + 1, ids: [] }))
    const { message } = await new Negentropy(counted, { frameSizeLimit: 4096 }).reconcile(unhex(specMessage(ranges)))
    expect(message?.length).toBeLessThanOrEqual(4096)
    expect(reads.bounds).toBeLessThan(1100)
    expect(reads.sums).toBe(1)
  })

  test('of skips behind infinity are read and nothing else', async () => {
    const { counted, reads } = counting(100)
    const flood = unhex(`61${'000000'.repeat(100_000)}`)
    expect((await new Negentropy(counted).reconcile(flood)).message).toEqual(unhex('61'))
    expect(reads).toEqual({ sums: 0, items: 0, bounds: 0 })
  })

  test('too great a message is refused by its size alone', async () => {
    const responder = new Negentropy(createMemoryIndex([]), { maxMessageBytes: 1000 })
    await expect(responder.reconcile(new Uint8Array(1001))).rejects.toMatchObject({ code: 'message_too_large' })
    await expect(new Negentropy(createMemoryIndex([])).reconcile(new Uint8Array(2 ** 24 + 1))).rejects.toMatchObject({
      code: 'message_too_large',
    })
  })
})

describe('calls and options', () => {
  test.each([
    { frameSizeLimit: 4095 },
    { frameSizeLimit: -1 },
    { frameSizeLimit: 4096.5 },
    { maxMessageBytes: 0 },
    { maxRounds: Number.NaN },
    { maxHavePerMessage: 31 },
    { maxIds: 0 },
  ])('%o is refused', (options) => {
    expect(() => new Negentropy(createMemoryIndex([]), options)).toThrow(
      expect.objectContaining({ name: 'NegentropyError', code: 'invalid_option' }),
    )
  })

  test('out of turn are refused', async () => {
    const index = createMemoryIndex([])
    const initiator = new Negentropy(index)
    await initiator.initiate()
    await expect(initiator.initiate()).rejects.toMatchObject({ code: 'wrong_call' })
    const first = initiator.reconcile(unhex('6100000200'))
    await expect(initiator.reconcile(unhex('61'))).rejects.toMatchObject({ code: 'wrong_call' })
    expect((await first).message).toBeNull()
    await expect(initiator.reconcile(unhex('61'))).rejects.toMatchObject({ code: 'wrong_call' })

    const responder = new Negentropy(index, { maxRounds: 1 })
    await responder.reconcile(unhex('61'))
    await expect(responder.initiate()).rejects.toMatchObject({ code: 'wrong_call' })
    await expect(responder.reconcile(unhex('61'))).rejects.toMatchObject({ code: 'too_many_rounds' })
  })

  test('an index that fails fails the call and not the session', async () => {
    const index = createMemoryIndex(randomItems(10, 6, (at) => at))
    let broken = true
    const failing: RangeIndex = {
      size: () => index.size(),
      sum: (begin, end) => index.sum(begin, end),
      items: (begin, end) => (broken ? Promise.reject(new Error('disk')) : index.items(begin, end)),
      lowerBound: (begin, end, bound) => index.lowerBound(begin, end, bound),
    }
    const responder = new Negentropy(failing)
    await expect(responder.reconcile(unhex('6100000200'))).rejects.toThrow('disk')
    broken = false
    expect((await responder.reconcile(unhex('6100000200'))).message?.length).toBe(5 + 10 * 32)
  })
})

describe('bounds moved at random', () => {
  const items = randomItems(1000, 7, (at) => at)
  const bounds = async (seed: number) => {
    const negentropy = new Negentropy(createMemoryIndex(items), { random: randomFrom(seed) })
    return readSpecMessage(await negentropy.initiate())
  }

  test('are others in each session, and the parts stay parts of the whole', async () => {
    const seen = new Set<number>()
    for (let seed = 0; seed < 300; seed += 1) {
      const ranges = await bounds(seed)
      expect(ranges.length).toBe(16)
      let from = 0
      for (const range of ranges) {
        const to = range.timestamp ?? items.length
        expect(to).toBeGreaterThan(from)
        expect(to - from).toBeLessThanOrEqual(Math.ceil(1000 / 15))
        const inside = items.slice(from, to).map((item) => hex(item.id))
        expect(range.fingerprint).toBe(specFingerprint(inside))
        if (to < items.length) seen.add(to)
        from = to
      }
    }
    // 300 sessions of 15 cuts at random among 999 places leave about 1 % of them out, and favour none.
    expect(seen.size).toBeGreaterThan(950)
  })

  test('find sets forged to one sum, which fixed bounds never find', async () => {
    // Two sets that differ in two neighbouring ids of the same sum: x, y here and x + 1, y − 1 there.
    const pair = (x: string, y: string) =>
      [x, y].map((id, at) => ({ timestamp: 500, id: unhex(`${id}${'7f'.repeat(30)}0${at}`) }))
    const rest = items.filter((item) => item.timestamp !== 500)
    const mine = [...rest, ...pair('20', '40')]
    const theirs = [...rest, ...pair('21', '3f')]
    expect(specFingerprint(mine.slice(-2).map((item) => hex(item.id)))).toBe(
      specFingerprint(theirs.slice(-2).map((item) => hex(item.id))),
    )
    const session = (seed?: number) =>
      runSession(
        createMemoryIndex(mine),
        createMemoryIndex(theirs),
        seed === undefined ? {} : { random: randomFrom(seed) },
      )
    expect(await session()).toMatchObject({ have: [], need: [], rounds: 1 })
    // Each session cuts the two apart with probability 15 / 1000.
    let found = 0
    for (let seed = 0; seed < 600; seed += 1) found += (await session(seed)).have.length > 0 ? 1 : 0
    expect(found).toBeGreaterThan(1)
    expect(found).toBeLessThan(30)
  })
})
