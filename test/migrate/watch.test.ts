import { expect, test } from 'vitest'

import { nodeAt } from '../../src/cli/lib/node.ts'
import { createHttpHost } from '../../src/migrate/http-host.ts'
import { migrate } from '../../src/migrate/migrate.ts'
import { SILENCE_TOLD_MS } from '../../src/migrate/limits.ts'
import { openMigration } from '../../src/migrate/run.ts'
import { watch } from '../../src/migrate/watch.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import type { HttpNode } from '../http/node.ts'
import { signedPatch } from '../http/writer.ts'
import { give, openNode, openTamperer, seeded, shown, url } from './hosts.ts'
import type { Tampering } from './tamper.ts'

const hostAt = (url: string) => createHttpHost(url, nodeAt(url), (error) => error.message)

/** A host that another node can take the place of, at the same address. */
async function openHost(tampering: Tampering = {}) {
  let node = await openNode()
  const place = { fetch: (...args: Parameters<HttpNode['fetch']>) => node.fetch(...args) } as HttpNode
  const { url: address, calls } = await openTamperer(place, tampering)
  return {
    address,
    calls,
    node: () => node,
    become: (other: HttpNode) => {
      node = other
    },
  }
}

/** Watches both until `work` is done. */
async function watched(
  from: string,
  to: string,
  avatar: string,
  work: (told: string[], waits: string[]) => Promise<void>,
  environment = systemEnvironment(),
) {
  const waits: string[] = []
  const stop = new AbortController()
  const migration = await openMigration(
    {
      environment,
      progress: (direction, host) => void (direction === 'waiting for' && waits.push(host)),
      signal: stop.signal,
    },
    { avatar: avatar as `0x${string}`, from: hostAt(from), to: hostAt(to) },
  )
  const told: string[] = []
  try {
    await migrate(migration)
    await migration.to.settled()
    await migration.from.settled()
    const watching = watch(migration, {
      moved: (toTarget, toSource) => void told.push(`moved ${toTarget} ${toSource}`),
      failed: (problem) => void told.push(problem),
      recovered: () => void told.push('recovered'),
    })
    await work(told, waits)
    stop.abort()
    await watching
  } finally {
    stop.abort()
    await migration.close()
  }
}

test.each([
  ['begins a new store', false],
  ['has let the avatar go', true],
])(
  'a host that %s is given everything again, be it the old or the new one',
  async (_, keepsEpoch) => {
    let epoch: unknown
    const tampering: Tampering = keepsEpoch
      ? { status: (answer) => ({ ...answer, epoch: (epoch ??= answer['epoch']) }), page: (page) => page }
      : {}
    const plain = await openNode()
    const [host, { key, records }] = [await openHost(tampering), await seeded(plain, 30)]
    let tip = records.at(-1)!
    for (const [from, to] of [
      [url(plain), host.address],
      [host.address, url(plain)],
    ] as const) {
      await watched(from, to, key.avatar, async (told) => {
        // Of what the host itself has handed out, too, it has nothing any more.
        tip = signedPatch(key, { prev: [tip.citation], patch: { tip: from } })
        await give(host.node(), [tip])
        await expect.poll(async () => (await shown(plain, key.avatar))?.['head']).toBe(tip.citation.counter)
        const before = await shown(plain, key.avatar)
        host.become(await openNode())
        await expect.poll(() => shown(host.node(), key.avatar)).toEqual(before)
        expect(told.filter((text) => !text.startsWith('moved'))).toEqual([])
      })
    }
  },
  60_000,
)

test('a host that shows something else than it holds is told of once, and asked for all anew once', async () => {
  let isLying = false
  const source = await openNode()
  const { key } = await seeded(source, 30)
  const target = await openHost({ page: (page) => (isLying ? { ...page, digest: 'f'.repeat(64) } : page) })
  await watched(url(source), target.address, key.avatar, async (told) => {
    isLying = true
    await expect.poll(() => told.at(-1)).toContain('shows another state')
    const posts = () => target.calls.filter((call) => call.startsWith('POST')).length
    const before = posts()
    isLying = false
    await expect.poll(() => told.at(-1)).toBe('recovered')
    expect(told.filter((text) => text.includes('shows another state'))).toHaveLength(1)
    expect(posts()).toBe(before)
  })
})

test('a host that falls silent is told of long before it counts as out of reach', async () => {
  const source = await openNode()
  const { key } = await seeded(source, 3)
  const target = await openHost()
  const { timers, ...rest } = systemEnvironment()
  const after = (delayMs: number, run: () => void): (() => void) =>
    timers.after(delayMs === SILENCE_TOLD_MS ? 500 : delayMs, run)
  await watched(
    url(source),
    target.address,
    key.avatar,
    async (told, waits) => {
      target.become({ fetch: () => new Promise(() => {}) } as unknown as HttpNode)
      await expect.poll(() => waits).toContain(target.address)
      expect(told.filter((text) => !text.startsWith('moved'))).toEqual([])
    },
    { ...rest, timers: { after } },
  )
})
