import { describe, expect, it } from 'vitest'

import { nodePlatform } from '../../src/archive/node.ts'
import { PositionList } from '../../src/archive/position-list.ts'
import type { RecordId } from '../../src/record/types.ts'
import { signBody, testKey } from '../oracle/signing.ts'
import { ArchiveFold } from '../../src/archive/fold.ts'

const id = (start: number, end: number): RecordId =>
  `0x${start.toString(16).padStart(16, '0')}${'0'.repeat(40)}${end.toString(16).padStart(8, '0')}`

describe('a list of places', () => {
  it('tells ids apart that begin alike', () => {
    const list = new PositionList(nodePlatform)
    const places = [id(1, 1), id(1, 2), id(1, 3), id(2, 1)].map((each) => ({ counter: 4, id: each }))
    for (const place of places) list.push(place, 1)
    expect(places.map((place) => list.find(place))).toEqual([0, 1, 2, 3])
    expect([id(1, 4), id(2, 2), id(0, 1)].map((each) => list.find({ counter: 4, id: each }))).toEqual([-1, -1, -1])
    expect(list.find({ counter: 5, id: id(1, 1) })).toBe(-1)
    expect(list.absent([id(1, 2), id(1, 9), id(7, 7)])).toEqual([id(1, 9), id(7, 7)])
    expect(list.id(2)).toBe(id(1, 3))
  })

  it('gives the memory of ids back that need not be told in full', () => {
    const list = new PositionList(nodePlatform)
    const many = 6 * 65_536
    for (let counter = 1; counter <= many; counter++) {
      list.push({ counter, id: id(counter, counter) }, 1)
      if (counter > 1) list.close(counter - 2)
    }
    expect(list.bytes / many).toBeLessThan(30)
    expect(list.find({ counter: 5, id: id(5, 5) })).toBe(4)
    expect(list.id(many - 1)).toBe(id(many, many))
    expect(() => list.id(4)).toThrow('closed')
  })
})

describe('the memory of a fold', () => {
  it('is bounded, whoever wrote the records', () => {
    const key = testKey(1)
    const fold = new ArchiveFold(nodePlatform, 8_000_000)
    const record = signBody(key, {
      avatar: key.avatar,
      counter: 1,
      created_at: 1_790_000_000,
      identity: 'a',
      network: 'main',
      patch: {},
      platform: 'p',
      prev: [],
      type: 'patch',
      uuid: '00000000-0000-4000-8000-000000000000',
      version: '2',
    })
    // Ids that nothing was signed for, which is the same to the fold: 300,000 tips at one counter.
    for (let n = 0; n < 300_000; n++) fold.add(id(n, n), record.body)
    expect(fold.result()).toBeUndefined()
  })
})
