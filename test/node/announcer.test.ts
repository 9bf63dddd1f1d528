import { describe, expect, it } from 'vitest'

import { createAnnouncer } from '../../src/node/announcer.ts'
import type { SignedRecord } from '../../src/record/types.ts'

function records(count: number): SignedRecord[] {
  return Array.from({ length: count }, () => ({ payload: new Uint8Array(1), signature: new Uint8Array(64) }))
}

/** An announcer with a clock and timers that are set by hand. */
function setUp() {
  const world = { nowMs: 0, published: 0, nudges: 0, timers: [] as { atMs: number; run: () => void }[] }
  const announce = createAnnouncer({
    environment: {
      clock: { now: () => world.nowMs },
      timers: {
        after(delayMs, run) {
          world.timers.push({ atMs: world.nowMs + delayMs, run })
          return () => undefined
        },
      },
    },
    publish: (some) => {
      world.published += some.length
    },
    nudge: () => {
      world.nudges += 1
    },
  })
  function pass(ms: number): void {
    world.nowMs += ms
    for (const timer of world.timers.splice(0)) {
      if (timer.atMs <= world.nowMs) timer.run()
      else world.timers.push(timer)
    }
  }
  return { world, announce, pass }
}

describe('new records', () => {
  it('from clients and from files are always passed on, those from gossip never', () => {
    const { world, announce, pass } = setUp()
    for (let batch = 0; batch < 100; batch += 1) announce(records(100), batch % 2 === 0 ? 'http' : 'import')
    expect(world.published).toBe(10_000)
    announce(records(100), 'gossip')
    expect(world.published).toBe(10_000)
    pass(60_000)
    expect(world.nudges).toBe(0)
  })

  it('of sync are passed on while they are few, and no peer is called', () => {
    const { world, announce, pass } = setUp()
    for (let second = 0; second < 100; second += 1) {
      announce(records(60), 'sync')
      pass(1000)
    }
    expect(world.published).toBe(6000)
    expect(world.nudges).toBe(0)
  })

  it('of sync that are many are not sent back to where they came from; the peers are called, now and then', () => {
    const { world, announce, pass } = setUp()
    for (let tenth = 0; tenth < 300; tenth += 1) {
      announce(records(1000), 'sync')
      pass(100)
    }
    expect(world.published).toBe(0)
    expect(world.nudges).toBeGreaterThanOrEqual(5)
    expect(world.nudges).toBeLessThanOrEqual(6)
    pass(5000)
    const after = world.nudges
    pass(60_000)
    expect(world.nudges).toBe(after)
  })
})
