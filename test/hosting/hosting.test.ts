import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HeldAvatars } from '../../src/hosting/types.ts'
import type { HostingNews } from '../../src/hosting/types.ts'
import type { Avatar } from '../../src/record/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { openHostingForTest } from './open-hosting.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-hosting-'))
})
afterAll(() => rm(folder, { recursive: true }))

const [A, B, C] = [1, 2, 3].map((n): Avatar => `0x02${n.toString(16).padStart(64, '0')}`) as [Avatar, Avatar, Avatar]
const avatars = (count: number): Avatar[] =>
  Array.from({ length: count }, (_, n): Avatar => `0x03${n.toString(16).padStart(64, '0')}`)

/** Remembers what was dropped; `hold` keeps it from happening. */
function storeOf(homes: readonly string[] = []) {
  const forgotten: Avatar[] = []
  const gate = { hold: Promise.resolve(), fails: false }
  const held: Partial<HeldAvatars> = {
    isHeld: (avatar) => Promise.resolve(avatar === A),
    homes: () => Promise.resolve(homes),
    async forget(avatar) {
      await gate.hold
      if (gate.fails) throw new Error('the disk is gone')
      forgotten.push(avatar)
    },
  }
  return { held, forgotten, gate }
}

describe('the mode all', () => {
  test('takes everybody but those who are blocked or gone, each with a reason', async () => {
    const { held, forgotten } = storeOf(['https://home.test'])
    const hosting = await openHostingForTest({ held })
    expect([A, B, C].map((each) => hosting.hosts(each))).toEqual([true, true, true])
    await hosting.block([A], { forget: false })
    await hosting.remove([B])
    await hosting.settled()
    expect([A, B, C].map((each) => hosting.hosts(each))).toEqual([false, false, true])
    expect(hosting.admit(A)).toMatchObject({ code: 'blocked', retry: false, homes: [] })
    expect(hosting.admit(B)).toMatchObject({ code: 'not_hosted', retry: false, homes: ['https://home.test'] })
    expect(hosting.admit(B)?.message).toContain('https://home.test')
    expect(hosting.admit(C)).toBeUndefined()
    expect(forgotten).toEqual([B])
    expect(hosting.scope()).toBe('all')
    await hosting.unblock([A])
    await hosting.add([B])
    expect([A, B, C].map((each) => hosting.hosts(each))).toEqual([true, true, true])
  })

  test('puts nobody back whom the operator has removed, and everybody who has left by his own wish', async () => {
    const { held } = storeOf()
    const hosting = await openHostingForTest({ held, mode: 'all', policy: 'closed' })
    await hosting.release({ avatar: A, createdAt: 100 })
    expect(hosting.hosts(A)).toBe(false)
    expect(await hosting.grant({ avatar: A, createdAt: 101 })).toBe(false)
    expect(hosting.hosts(A)).toBe(true)
    await hosting.remove([A])
    await expect(hosting.grant({ avatar: A, createdAt: 102 })).rejects.toMatchObject({ code: 'hosting_closed' })
  })
})

describe('the mode listed', () => {
  test('takes those on the list; the scope of sync is the list, newest first', async () => {
    const hosting = await openHostingForTest({ mode: 'listed' })
    expect(hosting.hosts(A)).toBe(false)
    expect(hosting.scope()).toEqual([])
    await hosting.add([A])
    await hosting.add([B])
    await hosting.add([A, C])
    expect(hosting.scope()).toEqual([C, B, A])
    await hosting.block([B], { forget: false })
    expect(hosting.scope()).toEqual([C, A])
    expect(hosting.isListed(B)).toBe(true)
    await hosting.remove([C])
    expect(hosting.scope()).toEqual([A])
    expect(hosting.counts()).toEqual({ hosted: 2, blocked: 1, gone: 1, invites: 0 })
  })

  test('lists are read in pages', async () => {
    const hosting = await openHostingForTest({ mode: 'listed' })
    await hosting.add([C, A, B])
    expect(hosting.list('hosted', { limit: 2 }).map(({ avatar }) => avatar)).toEqual([A, B])
    expect(hosting.list('hosted', { after: B, limit: 2 }).map(({ avatar }) => avatar)).toEqual([C])
    expect(hosting.list('gone', { limit: 2 })).toEqual([])
  })

  test('tidy drops what is held and not on the list', async () => {
    const { held, forgotten } = storeOf()
    const pages = [...avatars(1_500), A]
    const hosting = await openHostingForTest({
      mode: 'listed',
      held: {
        ...held,
        avatars: ({ after, limit }) => {
          const start = after === undefined ? 0 : pages.indexOf(after) + 1
          return Promise.resolve(pages.slice(start, start + limit))
        },
      },
    })
    await hosting.add([A])
    expect(await hosting.tidy()).toBe(1_500)
    await hosting.settled()
    expect(new Set(forgotten)).toEqual(new Set(avatars(1_500)))
  })
})

test('others are told of what changed for them, after it has', async () => {
  const { held } = storeOf()
  const hosting = await openHostingForTest({ mode: 'listed', held })
  const news: (HostingNews & { hosts: boolean })[] = []
  const end = hosting.onChange((each) => void news.push({ ...each, hosts: hosting.hosts(A) }))
  await hosting.add([A])
  await hosting.add([A])
  await hosting.invite(1)
  await hosting.block([A], { forget: false })
  await hosting.unblock([A])
  await hosting.remove([A])
  await hosting.settled()
  end()
  await hosting.add([A])
  expect(news).toEqual([
    { changed: [A], admitted: [A], hosts: true },
    { changed: [A], admitted: [], hosts: false },
    { changed: [A], admitted: [A], hosts: true },
    { changed: [A], admitted: [], hosts: false },
  ])
})

describe('codes', () => {
  test('of many who show one at once exactly one gets in', async () => {
    const hosting = await openHostingForTest({ mode: 'listed', policy: 'invite' })
    const [code = ''] = await hosting.invite(1)
    expect(code).toMatch(/^([a-z2-7]{4}-){4}[a-z2-7]{4}$/)
    const tries = await Promise.allSettled(
      avatars(50).map((avatar) => hosting.grant({ avatar, createdAt: 100, invite: code.toUpperCase() })),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const each of tries)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'invite_unknown' })
    expect(hosting.counts()).toMatchObject({ hosted: 1, invites: 0 })
  })

  test('are used up neither by who is on the list, nor by who is blocked, nor by an old statement', async () => {
    const hosting = await openHostingForTest({ mode: 'listed', policy: 'invite' })
    const [code = ''] = await hosting.invite(1)
    await hosting.add([A])
    expect(await hosting.grant({ avatar: A, createdAt: 100, invite: code })).toBe(true)
    await expect(hosting.grant({ avatar: A, createdAt: 99, invite: code })).rejects.toMatchObject({
      code: 'stale_statement',
    })
    await hosting.block([B], { forget: false })
    await expect(hosting.grant({ avatar: B, createdAt: 100, invite: code })).rejects.toMatchObject({ code: 'blocked' })
    await expect(hosting.grant({ avatar: C, createdAt: 100 })).rejects.toMatchObject({ code: 'invite_required' })
    expect(hosting.counts().invites).toBe(1)
    expect(await hosting.grant({ avatar: C, createdAt: 100, invite: code })).toBe(false)
    expect(await hosting.revokeInvites()).toBe(0)
  })

  test('can be revoked, and are bounded', async () => {
    const hosting = await openHostingForTest({ policy: 'invite' })
    const codes = [...(await hosting.invite(9_999)), ...(await hosting.invite(1))]
    expect(new Set(codes).size).toBe(10_000)
    await expect(hosting.invite(1)).rejects.toMatchObject({ code: 'hosting_full' })
    expect(await hosting.revokeInvites()).toBe(10_000)
    const refused = hosting.grant({ avatar: A, createdAt: 1, invite: codes[0] ?? '' })
    await expect(refused).rejects.toMatchObject({ code: 'invite_unknown' })
  })
})

describe('statements of one owner', () => {
  test('have effect in the order of their times alone', async () => {
    const { held } = storeOf()
    const hosting = await openHostingForTest({ mode: 'listed', policy: 'open', held })
    expect(await hosting.grant({ avatar: A, createdAt: 100 })).toBe(false)
    await hosting.release({ avatar: A, createdAt: 200 })
    await expect(hosting.grant({ avatar: A, createdAt: 100 })).rejects.toMatchObject({ code: 'stale_statement' })
    await expect(hosting.grant({ avatar: A, createdAt: 200 })).rejects.toMatchObject({ code: 'stale_statement' })
    expect(await hosting.grant({ avatar: A, createdAt: 300 })).toBe(false)
    // The leave of before, sent again by somebody who has kept it.
    await expect(hosting.release({ avatar: A, createdAt: 200 })).rejects.toMatchObject({ code: 'stale_statement' })
    expect(hosting.hosts(A)).toBe(true)
    // Also after the operator has had a hand in it.
    await hosting.remove([A])
    await hosting.add([A])
    await expect(hosting.release({ avatar: A, createdAt: 300 })).rejects.toMatchObject({ code: 'stale_statement' })
    await hosting.remove([A])
    await expect(hosting.grant({ avatar: A, createdAt: 300 })).rejects.toMatchObject({ code: 'stale_statement' })
  })

  test('may come twice, for an answer may be lost', async () => {
    const { held, forgotten } = storeOf()
    const hosting = await openHostingForTest({ mode: 'listed', policy: 'open', held })
    expect(await hosting.grant({ avatar: A, createdAt: 100 })).toBe(false)
    expect(await hosting.grant({ avatar: A, createdAt: 100 })).toBe(true)
    await hosting.release({ avatar: A, createdAt: 200 })
    await hosting.release({ avatar: A, createdAt: 200 })
    await hosting.settled()
    expect(forgotten).toEqual([A])
  })

  test('of an avatar of which nothing is here change nothing', async () => {
    const hosting = await openHostingForTest({ mode: 'all', policy: 'open' })
    await expect(hosting.release({ avatar: B, createdAt: 100 })).rejects.toMatchObject({ code: 'not_hosted' })
    expect(hosting.counts().gone).toBe(0)
  })

  test.each(['all', 'listed'] as const)('are heard by no list under the policy closed, mode %s', async (mode) => {
    const hosting = await openHostingForTest({ mode, policy: 'closed' })
    await expect(hosting.grant({ avatar: A, createdAt: 100 })).rejects.toMatchObject({ code: 'hosting_closed' })
    expect(hosting.counts().hosted).toBe(0)
  })
})

describe('room', () => {
  test('on the list is for 100,000', async () => {
    const hosting = await openHostingForTest({ mode: 'listed', policy: 'open' })
    const many = avatars(100_000)
    await hosting.add(many)
    await expect(hosting.add([A])).rejects.toMatchObject({ code: 'hosting_full' })
    await expect(hosting.grant({ avatar: A, createdAt: 100 })).rejects.toMatchObject({ code: 'hosting_full' })
    await hosting.add(many.slice(0, 10))
    expect(hosting.hosts(A)).toBe(false)
    expect(hosting.scope()).toHaveLength(100_000)
  })

  test('among those that are gone is made by the oldest, once no old statement of theirs could be shown again', async () => {
    const clock = { ms: 1_000_000_000 }
    const environment = { ...systemEnvironment(), clock: { now: () => clock.ms } }
    const hosting = await openHostingForTest({ mode: 'listed', policy: 'open', environment })
    const nowS = () => clock.ms / 1_000
    const many = avatars(100_000)
    await hosting.grant({ avatar: A, createdAt: nowS() })
    await hosting.release({ avatar: A, createdAt: nowS() + 1 })
    await hosting.remove(many.slice(1))
    expect(hosting.counts().gone).toBe(100_000)
    await expect(hosting.remove([B])).rejects.toMatchObject({ code: 'hosting_full' })
    clock.ms += 1_202_000
    await hosting.remove([B])
    expect(hosting.counts().gone).toBe(100_000)
    expect(hosting.list('gone', { limit: 2 }).map(({ avatar }) => avatar)).not.toContain(A)
    await hosting.settled()
  })

  test('in the mode all is not made by forgetting who has left: he would be taken again', async () => {
    const hosting = await openHostingForTest({ mode: 'all' })
    await hosting.remove(avatars(100_000))
    await expect(hosting.remove([A])).rejects.toMatchObject({ code: 'hosting_full' })
    await hosting.settled()
  })
})

describe('what is to be dropped', () => {
  test('is dropped before the avatar is taken again', async () => {
    const { held, forgotten, gate } = storeOf()
    const hosting = await openHostingForTest({ mode: 'listed', held })
    let release = (): void => undefined
    gate.hold = new Promise((resolve) => {
      release = resolve
    })
    await hosting.add([A])
    await hosting.remove([A])
    const again = hosting.add([A])
    await hosting.invite(1)
    expect([hosting.hosts(A), forgotten]).toEqual([false, []])
    release()
    await again
    expect([hosting.hosts(A), forgotten]).toEqual([true, [A]])
  })

  test('and could not be keeps the avatar out until it can', async () => {
    const { held, gate } = storeOf()
    const hosting = await openHostingForTest({ mode: 'listed', held })
    await hosting.add([A])
    gate.fails = true
    await hosting.remove([A])
    await expect(hosting.add([A])).rejects.toMatchObject({ code: 'failed' })
    gate.fails = false
    await hosting.add([A])
    expect(hosting.hosts(A)).toBe(true)
  })

  test('when the process ends is dropped after the next start, and all lists are there again', async () => {
    const path = join(folder, 'hosting.log')
    const { held, forgotten, gate } = storeOf(['https://home.test'])
    const first = await openHostingForTest({ mode: 'listed', policy: 'invite', held, path })
    const [code = ''] = await first.invite(2)
    await first.grant({ avatar: A, createdAt: 100, invite: code })
    await first.add([B, C])
    gate.hold = new Promise(() => undefined)
    await first.remove([B])
    await first.block([C], { forget: true })
    await first.pulling(A, 'https://old.test')
    // As after kill -9: nothing is settled.
    await first.journal.close()

    const { held: later, forgotten: forgottenLater } = storeOf()
    const second = await openHostingForTest({ mode: 'listed', policy: 'invite', held: later, path })
    expect([A, B, C].map((each) => second.hosts(each))).toEqual([true, false, false])
    expect(second.formerHomes(B)).toEqual(['https://home.test'])
    expect(second.pulls()).toMatchObject([{ avatar: A, from: 'https://old.test' }])
    second.resume()
    await second.settled()
    expect([forgotten, forgottenLater.sort()]).toEqual([[], [B, C]])
    await expect(second.grant({ avatar: B, createdAt: 1, invite: code })).rejects.toMatchObject({
      code: 'invite_unknown',
    })
    await expect(second.release({ avatar: A, createdAt: 100 })).rejects.toMatchObject({ code: 'stale_statement' })
    await second.close()
    await expect(second.add([B])).rejects.toMatchObject({ code: 'failed' })
  })
})

test('the file does not grow with changes that say nothing any more', async () => {
  const path = join(folder, 'grows.log')
  const hosting = await openHostingForTest({ mode: 'listed', path })
  for (let round = 0; round < 1_200; round += 1) {
    await hosting.block([A], { forget: false })
    await hosting.unblock([A])
  }
  await hosting.block([B], { forget: false })
  expect(hosting.journal.lines).toBeLessThan(1_100)
  await hosting.close()
  const again = await openHostingForTest({ mode: 'listed', path })
  expect([again.isBlocked(A), again.isBlocked(B)]).toEqual([false, true])
  await again.close()
})
