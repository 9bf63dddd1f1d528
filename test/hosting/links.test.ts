import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LET_GO_S, LET_GO_SWEEP_MS } from '../../src/hosting/limits.ts'
import type { HostingNews } from '../../src/hosting/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import type { Avatar } from '../../src/record/types.ts'
import { openHostingForTest } from './open-hosting.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-linked-'))
})
afterAll(() => rm(folder, { recursive: true }))

const [A, B, X, Y] = [1, 2, 3, 4].map((n): Avatar => `0x02${n.toString(16).padStart(64, '0')}`) as [
  Avatar,
  Avatar,
  Avatar,
  Avatar,
]

/** A clock and timers that move by hand, and links that the test sets. */
async function open(options: { path?: string; links?: number; stored?: Map<Avatar, Avatar[]>; nowMs?: number } = {}) {
  const { path, links = 16, stored = new Map<Avatar, Avatar[]>() } = options
  const forgotten: Avatar[] = []
  const due: { atMs: number; run: () => void }[] = []
  let nowMs = options.nowMs ?? 1_790_000_000_000
  const hosting = await openHostingForTest({
    mode: 'listed',
    links,
    ...(path === undefined ? {} : { path }),
    held: {
      links: (avatar) => Promise.resolve(stored.get(avatar) ?? []),
      forget: (avatar) => Promise.resolve(void forgotten.push(avatar)),
    },
    environment: {
      ...systemEnvironment(),
      clock: { now: () => nowMs },
      timers: {
        after(ms, run) {
          const timer = { atMs: nowMs + ms, run }
          due.push(timer)
          return () => void due.splice(due.indexOf(timer), due.includes(timer) ? 1 : 0)
        },
      },
    },
  })
  await hosting.settled()
  const news: HostingNews[] = []
  hosting.onChange((each) => news.push(each))
  return {
    hosting,
    news,
    forgotten,
    nowMs: () => nowMs,
    async link(owner: Avatar, ...linked: Avatar[]) {
      stored.set(owner, linked)
      hosting.linksChanged([owner])
      await hosting.settled()
    },
    async pass(ms: number) {
      const end = nowMs + ms
      for (;;) {
        const next = due.filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs)[0]
        if (next === undefined) break
        due.splice(due.indexOf(next), 1)
        nowMs = next.atMs
        next.run()
        for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
        await hosting.settled()
      }
      nowMs = end
    },
  }
}

describe('avatars that listed avatars link to', () => {
  test('are hosted, and are in the scope of sync after the list', async () => {
    const { hosting, news, link } = await open()
    await hosting.add([A])
    expect(hosting.hosts(X)).toBe(false)
    await link(A, X, Y)
    expect([X, Y].map(hosting.hosts)).toEqual([true, true])
    expect(hosting.admit(X)).toBeUndefined()
    expect(hosting.isListed(X)).toBe(false)
    expect(hosting.scope()).toEqual([A, X, Y])
    expect(news.at(-1)).toEqual({ changed: [X, Y], admitted: [X, Y] })
    await hosting.block([X], { forget: false })
    expect(hosting.hosts(X)).toBe(false)
    expect(hosting.scope()).toEqual([A, Y])
  })

  test('count only where the owner is listed and not blocked, and links are not followed', async () => {
    const { hosting, link } = await open()
    await link(B, X)
    expect(hosting.hosts(X)).toBe(false)
    await hosting.add([A])
    await link(A, B)
    expect([B, X].map(hosting.hosts)).toEqual([true, false])
    await hosting.add([B])
    await hosting.settled()
    expect(hosting.hosts(X)).toBe(true)
  })

  test('are as many as the operator allows', async () => {
    const { hosting, link } = await open({ links: 1 })
    await hosting.add([A])
    await link(A, X, X, Y)
    expect([X, Y].map(hosting.hosts)).toEqual([true, false])
    const none = await open({ links: 0 })
    await none.hosting.add([A])
    await none.link(A, X)
    expect(none.hosting.hosts(X)).toBe(false)
  })

  test('are let go a day after the last link to them was removed, and not before', async () => {
    const { hosting, link, pass, forgotten } = await open()
    await hosting.add([A, B])
    await link(A, X)
    await link(B, X)
    await link(A)
    await pass(2 * LET_GO_S * 1_000)
    expect(hosting.hosts(X)).toBe(true)
    await link(B)
    expect(hosting.hosts(X)).toBe(true)
    await pass(LET_GO_S * 1_000 - LET_GO_SWEEP_MS)
    expect([hosting.hosts(X), forgotten]).toEqual([true, []])
    await pass(2 * LET_GO_SWEEP_MS)
    expect([hosting.hosts(X), forgotten]).toEqual([false, [X]])
  })

  test('stay if they are linked again in time, or are on the list themselves', async () => {
    const { hosting, link, pass, forgotten } = await open()
    await hosting.add([A, Y])
    await link(A, X, Y)
    await link(A)
    await pass(LET_GO_SWEEP_MS)
    await link(A, X)
    await pass(3 * LET_GO_S * 1_000)
    expect([hosting.hosts(X), hosting.hosts(Y), forgotten]).toEqual([true, true, []])
  })

  test('go with their owner, and do not come back once they have left', async () => {
    const { hosting, link, pass, forgotten } = await open()
    await hosting.add([A])
    await link(A, X, Y)
    await hosting.release({ avatar: X, createdAt: 1_790_000_000 }).catch(() => hosting.remove([X]))
    await hosting.settled()
    expect([X, Y].map(hosting.hosts)).toEqual([false, true])
    await hosting.remove([A])
    await hosting.settled()
    await pass(2 * LET_GO_S * 1_000)
    expect([A, X, Y].map(hosting.hosts)).toEqual([false, false, false])
    expect([...forgotten].sort()).toEqual([A, X, Y])
  })

  test('are known at the start, and a restart does not begin the day again', async () => {
    const path = join(folder, 'hosting.log')
    const stored = new Map<Avatar, Avatar[]>()
    const first = await open({ path, stored })
    await first.hosting.add([A])
    await first.link(A, X, Y)
    await first.link(A, X)
    await first.pass(LET_GO_S * 500)
    await first.hosting.close()
    const second = await open({ path, stored, nowMs: first.nowMs() })
    expect([X, Y].map(second.hosting.hosts)).toEqual([true, true])
    await second.pass(LET_GO_S * 500 + LET_GO_SWEEP_MS)
    expect([X, Y].map(second.hosting.hosts)).toEqual([true, false])
    expect(second.forgotten).toEqual([Y])
    await second.hosting.close()
  })
})
