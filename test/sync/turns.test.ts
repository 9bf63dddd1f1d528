import { expect, test } from 'vitest'
import type { Avatar } from '../../src/record/types.ts'
import { createMemoryIndex } from '../../src/negentropy/memory-index.ts'
import { LISTED_PASS_RECORDS, takingTurns } from '../../src/sync/turns.ts'
import type { Scope, SyncSnapshot, SyncSource } from '../../src/store/types.ts'

const SMALL: Scope = ['0x02small']
const LARGE: Scope = ['0x02large']

/** A source whose moments are made when the test says so, with a clock that it moves. */
function setUp() {
  let now = 0
  const timers = new Set<{ atMs: number; run: () => void }>()
  const making: (() => void)[] = []
  const counts = { asked: 0, open: 0 }
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  }
  const source = {
    avatarSums: (avatars: readonly Avatar[]) =>
      Promise.resolve(
        avatars.map((avatar) => ({
          avatar,
          count: LISTED_PASS_RECORDS + (avatar === LARGE[0] ? 1 : 0),
          sum: new Uint8Array(32),
        })),
      ),
    readSnapshot: async (): Promise<SyncSnapshot> => {
      counts.asked += 1
      await new Promise<void>((resolve) => making.push(resolve))
      counts.open += 1
      return Object.assign(createMemoryIndex([{ timestamp: 1, id: new Uint8Array(32) }]), {
        close: () => {
          counts.open -= 1
          return Promise.resolve()
        },
      })
    },
  } as Partial<SyncSource> as SyncSource
  const environment = {
    clock: { now: () => now },
    timers: {
      after(delayMs: number, run: () => void) {
        const timer = { atMs: now + delayMs, run }
        timers.add(timer)
        return () => void timers.delete(timer)
      },
    },
  }
  const turnsOf = takingTurns(source, environment)
  return {
    turns: turnsOf('host a'),
    turnsOf,
    counts,
    timers,
    settle,
    async make(): Promise<void> {
      await settle()
      making.shift()?.()
      await settle()
    },
    async pass(ms: number): Promise<void> {
      now += ms
      for (const timer of timers) {
        if (timer.atMs > now) continue
        timers.delete(timer)
        timer.run()
      }
      await settle()
    },
  }
}

test('two moments are made at a time, however many are asked for; small ones are held without a turn', async () => {
  const { turns, counts, timers, make, settle } = setUp()
  const asked = Array.from({ length: 5 }, () => turns.readSnapshot(SMALL))
  await settle()
  expect(counts.asked).toBe(2)
  for (let made = 1; made <= 5; made += 1) {
    await make()
    expect(counts).toEqual({ asked: Math.min(5, made + 2), open: made })
  }
  for (const readSnapshot of await Promise.all(asked)) await readSnapshot.close()
  expect(counts.open).toBe(0)
  expect(timers.size).toBe(0)
})

test('of the large ones two are held; the next is made when one is closed, and small ones do not wait for them', async () => {
  const { turns, counts, make, settle } = setUp()
  const asked = Array.from({ length: 3 }, () => turns.readSnapshot(LARGE))
  await make()
  await make()
  expect(counts).toEqual({ asked: 2, open: 2 })
  const small = turns.readSnapshot(SMALL)
  await make()
  expect((await small).size()).toBe(1)
  const first = await asked[0]!
  await first.close()
  await first.close()
  await settle()
  expect(counts).toEqual({ asked: 4, open: 2 })
  await make()
  expect((await asked[2]!).size()).toBe(1)
})

test('who waits in vain is refused as one too many, and takes no turn later', async () => {
  const { turns, counts, make, pass, settle } = setUp()
  const held = [turns.readSnapshot(LARGE), turns.readSnapshot(LARGE)]
  await make()
  await make()
  const late = turns.readSnapshot(LARGE).catch((error: unknown) => error)
  await settle()
  await pass(9_999)
  await pass(1)
  expect(await late).toMatchObject({ code: 'refused', refusal: 'full', blame: false })
  await (await held[0]!).close()
  await pass(0)
  expect(counts).toEqual({ asked: 2, open: 1 })
})

test('a large one that was held long makes room for others, and is not read after that', async () => {
  const { turns, counts, make, pass } = setUp()
  const held = [turns.readSnapshot(LARGE), turns.readSnapshot(LARGE)]
  await make()
  await make()
  const long = await held[0]!
  await pass(30_000)
  expect(long.size()).toBe(1)
  const next = turns.readSnapshot(LARGE)
  await make()
  expect((await next).size()).toBe(1)
  expect(counts).toEqual({ asked: 3, open: 2 })
  expect(() => long.size()).toThrow(expect.objectContaining({ code: 'out_of_time', blame: false }))
  await long.close()
  expect(counts.open).toBe(2)
})

test('a host that holds both turns loses one at once to a host that has none, and no other', async () => {
  const { turnsOf, counts, make, settle } = setUp()
  const [a, b] = [turnsOf('host a'), turnsOf('host b')]
  const held = [a.readSnapshot(LARGE), a.readSnapshot(LARGE)]
  await make()
  await make()
  const more = [a.readSnapshot(LARGE), b.readSnapshot(LARGE)]
  await make()
  expect((await more[1]!).size()).toBe(1)
  const [first, second] = await Promise.all(held)
  expect(() => first!.size()).toThrow(expect.objectContaining({ code: 'out_of_time' }))
  expect(second!.size()).toBe(1)
  const again = b.readSnapshot(LARGE)
  await settle()
  expect(counts).toEqual({ asked: 3, open: 2 })
  // The host that has no turn then goes first, though the other one waits longer.
  await second!.close()
  await make()
  expect((await more[0]!).size()).toBe(1)
  expect(counts).toEqual({ asked: 4, open: 2 })
  await (await more[0]!).close()
  await make()
  expect((await again).size()).toBe(1)
})

test('a host whose moments are still being made loses one as soon as it is made, if another host waits', async () => {
  const { turnsOf, counts, make, settle } = setUp()
  const mine = turnsOf('host a')
  const [first] = [mine.readSnapshot(LARGE), mine.readSnapshot(LARGE)]
  await settle()
  const other = turnsOf('host b').readSnapshot(LARGE)
  await make()
  const lost = await first!
  expect(() => lost.size()).toThrow(expect.objectContaining({ code: 'out_of_time' }))
  await make()
  await make()
  expect((await other).size()).toBe(1)
  expect(counts).toEqual({ asked: 3, open: 2 })
})

test('one that cannot be made gives its turn back', async () => {
  const { turns, make, settle } = setUp()
  const broken = takingTurns(
    { ...turns, readSnapshot: () => Promise.reject(new Error('unreadable')) },
    { clock: { now: () => 0 }, timers: { after: () => () => {} } },
  )('host a')
  for (const scope of [SMALL, LARGE, SMALL, LARGE, SMALL, LARGE]) {
    await expect(broken.readSnapshot(scope)).rejects.toThrow('unreadable')
  }
  const whole = turns.readSnapshot(SMALL)
  await make()
  await settle()
  expect((await whole).size()).toBe(1)
})
