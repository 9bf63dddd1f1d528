import { expect, test } from 'vitest'
import { WorkQueue } from '../../src/ingest/work-queue.ts'

/** A queue of numbers, each as many bytes as it says, whose batches end when they are let go. */
function queue(limits: { count: number; bytes: number }) {
  const batches: number[][] = []
  const release: (() => void)[] = []
  let running = 0
  let mostRunning = 0
  const works = new WorkQueue<number>(limits, Math.abs, async (batch) => {
    batches.push(batch)
    running += 1
    mostRunning = Math.max(mostRunning, running)
    await new Promise<void>((resolve) => release.push(resolve))
    running -= 1
  })
  return {
    works,
    batches,
    mostRunning: () => mostRunning,
    /** Lets the running batch end, and the next one begin. */
    async next() {
      release.shift()?.()
      await turn()
    },
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what arrives while a batch is worked on gathers for the next, in order', async () => {
  const { works, batches, next, mostRunning } = queue({ count: 10, bytes: 1_000 })
  works.push([1, 2], 'one')
  works.push([3], 'one')
  await turn()
  works.push([4], 'one')
  works.push([], 'one')
  works.push([5, 6], 'one')
  expect(batches).toEqual([[1, 2, 3]])
  await next()
  expect(batches).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ])
  await next()
  expect([batches.length, mostRunning()]).toEqual([2, 1])
})

test('a batch keeps its bounds of count and bytes; one item may exceed the bytes', async () => {
  const { works, batches, next } = queue({ count: 3, bytes: 10 })
  works.push([1, 1, 1, 1, 5, 5, 1, 50, 2], 'one')
  await turn()
  for (let n = 0; n < 5; n += 1) await next()
  expect(batches).toEqual([[1, 1, 1], [1, 5], [5, 1], [50], [2]])
})

test('idle waits for all that is there and all that comes meanwhile; an idle queue works on', async () => {
  const { works, batches, next } = queue({ count: 1, bytes: 10 })
  await works.idle()
  works.push([1, 2], 'one')
  let isIdle = false
  const idle = works.idle().finally(() => {
    isIdle = true
  })
  await turn()
  await next()
  works.push([3], 'one')
  await next()
  expect(isIdle).toBe(false)
  await next()
  await idle
  expect(batches).toEqual([[1], [2], [3]])
  works.push([4], 'one')
  await turn()
  expect(batches.at(-1)).toEqual([4])
  await next()
})

test('sources take turns: a flood of one delays another by what the other brings, not by the flood', async () => {
  const { works, batches, next } = queue({ count: 100, bytes: 10_000_000 })
  works.push(
    Array.from({ length: 1_000 }, () => 1),
    'flood',
  )
  await turn()
  works.push(
    Array.from({ length: 1_000 }, () => 1),
    'flood',
  )
  works.push([2, 2, 2], 'modest')
  works.push([3], 'third')
  await next()
  expect(batches[1]?.filter((item) => item === 2)).toHaveLength(3)
  expect(batches[1]?.filter((item) => item === 3)).toHaveLength(1)
  expect(batches[1]).toHaveLength(100)
  for (let n = 0; n < 30; n += 1) await next()
  expect(batches.flat()).toHaveLength(2_004)
})

test('sources with great and small items get about the same bytes of a batch', async () => {
  const { works, batches, next } = queue({ count: 1_000, bytes: 200_000 })
  works.push([1], 'first')
  await turn()
  works.push(
    Array.from({ length: 20 }, () => 50_000),
    'great',
  )
  works.push(
    Array.from({ length: 400 }, () => 500),
    'small',
  )
  await next()
  const sum = (size: number) => (batches[1] ?? []).filter((item) => item === size).length * size
  expect(sum(50_000)).toBeLessThanOrEqual(150_000)
  expect(sum(500)).toBeGreaterThanOrEqual(45_000)
})
