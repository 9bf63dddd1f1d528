import { expect, it } from 'vitest'
import { filtered } from '../../src/explorer/data/filter.ts'
import { lanesOf } from '../../src/explorer/data/lanes.ts'
import type { JsonObject } from '../../src/record/types.ts'

const record = (id: string, ...prev: string[]) => ({
  id: `0x${id}` as const,
  prev: prev.map((each) => ({ id: `0x${each}` as const })),
})

it('a chain is one line', () => {
  expect(lanesOf([record('c', 'b'), record('b', 'a'), record('a')])).toEqual([
    { at: 0, above: [], below: [0], to: [0] },
    { at: 0, above: [0], below: [0], to: [0] },
    { at: 0, above: [0], below: [], to: [] },
  ])
})

it('a fork that is joined parts into two lines and ends in one', () => {
  const lanes = lanesOf([record('d', 'b', 'c'), record('c', 'a'), record('b', 'a'), record('a')])
  expect(lanes.map(({ at }) => at)).toEqual([0, 1, 0, 1])
  expect(lanes[0]).toMatchObject({ to: [0, 1], below: [0, 1] })
  expect(lanes[3]).toMatchObject({ above: [1], below: [] })
})

it('any number of branches has a bounded number of lines', () => {
  const many = Array.from({ length: 100 }, (_, n) => record(`${n}`, 'root'))
  const tips = Array.from({ length: 100 }, (_, n) => record(`t${n}`, `${n}`))
  for (const { at, above, below } of lanesOf([...tips, ...many, record('root')])) {
    expect(Math.max(at, ...above, ...below)).toBeLessThan(6)
  }
})

it('a filter keeps what fits with what is above it, and a key that fits with its whole value', () => {
  const content = { 'com.a': { theme: 'dark', n: 1 }, 'com.b': { list: ['x', 'Dark'], other: 2 }, c: 3 }
  expect(filtered(content, 'dark', '')).toEqual({ 'com.a': { theme: 'dark' }, 'com.b': { list: ['Dark'] } })
  expect(filtered(content, 'COM.B', '')).toEqual({ 'com.b': content['com.b'] })
  expect(filtered(content, 'nothing', '')).toBe(undefined)
  expect(filtered(content, 'twit', 'twitter/ada')).toBe(content)
  const evil = JSON.parse('{"__proto__":{"polluted":"yes"}}') as JsonObject
  expect(Object.hasOwn(filtered(evil, 'yes', '') ?? {}, '__proto__')).toBe(true)
})
