import { describe, expect, it } from 'vitest'

import { Shares } from '../../src/shares/shares.ts'
import type { Hold, Refusal, ShareLimits } from '../../src/shares/types.ts'

const LIMITS = { total: 10, perKey: 6, reserve: 2, small: 1 }

function held(result: Hold | Refusal): Hold {
  if (typeof result === 'string') throw new Error(`refused: ${result}`)
  return result
}

/** A pool whose holders are named, with the names of those evicted, in order. */
function pool(limits: ShareLimits = LIMITS) {
  const shares = new Shares(limits)
  const evicted: string[] = []
  return {
    shares,
    evicted,
    take: (key: string, units: number, name?: string) =>
      shares.take({ key }, units, name === undefined ? undefined : () => void evicted.push(name)),
  }
}

describe('holds that are never evicted', () => {
  it('stay within the share of their key, and the reserve goes to those that hold little', () => {
    const { shares, take } = pool()
    held(take('greedy', 6))
    expect(take('greedy', 1)).toBe('key_full')
    held(take('second', 2))
    expect(take('second', 1)).toBe('full')
    expect(take('third', 2)).toBe('full')
    held(take('third', 1))
    const last = held(take('fourth', 1))
    expect(take('fifth', 1)).toBe('full')
    expect([shares.used, shares.count]).toEqual([10, 5 - 1])
    last.release()
    last.release()
    held(take('fifth', 1))
    expect(shares.used).toBe(10)
  })

  it('grow within the same bounds, and a refusal changes nothing', () => {
    const { shares, take } = pool()
    const one = held(take('a', 5))
    expect(one.grow(2)).toBe('key_full')
    expect(one.grow(1)).toBeUndefined()
    const two = held(take('b', 2))
    expect(two.grow(1)).toBe('full')
    expect([one.units, two.units, shares.used, shares.usedBy('a')]).toEqual([6, 2, 8, 6])
    one.release()
    expect(one.grow(1)).toBe('full')
    expect([shares.used, shares.usedBy('a')]).toEqual([2, 0])
  })
})

describe('eviction', () => {
  it('takes the idle holds of the greediest key first, then the one without progress for longest', () => {
    const { evicted, take } = pool({ ...LIMITS, perKey: 5, reserve: 0 })
    const [a1, a2, a3] = ['a1', 'a2', 'a3', 'a4', 'a5'].map((name) => held(take('a', 1, name)))
    for (const name of ['b1', 'b2', 'b3', 'b4']) held(take('b', 1, name))
    held(take('c', 1, 'c1'))
    a3!.mark('idle')
    a2!.mark('idle')
    a1!.mark('busy')
    for (const name of ['d1', 'd2', 'd3']) held(take('d', 1, name))
    // a3 was idle before a2; then both a and b hold more of their share than d would, b the most.
    expect(evicted).toEqual(['a3', 'a2', 'b1'])
  })

  it('leaves what the node works on, and keys that hold no more than the newcomer would', () => {
    const { evicted, take } = pool({ total: 3, perKey: 3, reserve: 0, small: 1 })
    held(take('a', 2, 'a1')).mark('pinned')
    held(take('b', 1, 'b1'))
    expect(take('c', 1, 'c1')).toBe('full')
    expect(evicted).toEqual([])
  })

  it('lets a key replace its own idle holds where that is wanted', () => {
    const { evicted, shares, take } = pool({ ...LIMITS, replacesIdle: true })
    const holds = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'].map((name) => held(take('a', 1, name)))
    expect(take('a', 1, 'a7')).toBe('key_full')
    holds[4]!.mark('idle')
    held(take('a', 1, 'a8'))
    expect([evicted, shares.usedBy('a'), shares.evicted]).toEqual([['a5'], 6, 1])
    // Its owner hears of it late, and gives back what it no longer has.
    holds[4]!.release()
    expect(shares.used).toBe(6)
  })

  it('never evicts the hold that grows', () => {
    const { evicted, take } = pool({ total: 4, perKey: 4, reserve: 0, small: 1, replacesIdle: true })
    const own = held(take('a', 3, 'a1'))
    own.mark('idle')
    held(take('b', 1, 'b1'))
    expect(own.grow(2)).toBe('full')
    expect(own.grow(1)).toBe('full')
    expect(evicted).toEqual([])
  })
})

it('gives a key behind which many may stand all but the reserve', () => {
  const shares = new Shares(LIMITS)
  const proxy = { key: '127.0.0.1', isShared: true }
  held(shares.take(proxy, 8))
  expect(shares.take(proxy, 1)).toBe('full')
  held(shares.take({ key: 'a' }, 1))
  held(shares.take({ key: 'b' }, 1))
})

it('one of many greedy hosts never keeps a modest one out', () => {
  const shares = new Shares({ total: 100, perKey: 10, reserve: 10, small: 2 })
  for (let host = 0; host < 50; host++) {
    for (let n = 0; n < 20; n++) shares.take({ key: `greedy ${host}` }, 1, () => undefined)
  }
  const modest = Array.from({ length: 20 }, (_, n) => shares.take({ key: `modest ${n}` }, 1, () => undefined))
  expect(modest.filter((each) => typeof each === 'string')).toEqual([])
  expect(shares.used).toBeLessThanOrEqual(100)
})
