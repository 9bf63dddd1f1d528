import { expect, test } from 'vitest'

import { withDiskRoom } from '../../src/hosting/newcomers.ts'
import type { AdmissionRefusal } from '../../src/hosting/types.ts'
import { testKey } from '../oracle/signing.ts'
import { openHostingForTest } from './open-hosting.ts'

const [listed, held, fresh] = [testKey(1).avatar, testKey(2).avatar, testKey(3).avatar] as const
const LOW: AdmissionRefusal = { code: 'disk_low', message: 'low', retry: true }
const NOW_S = 1_790_000_000

async function open() {
  const hosting = await openHostingForTest({ mode: 'listed', policy: 'invite' })
  await hosting.add([listed])
  const disk: { refusal: AdmissionRefusal | undefined } = { refusal: LOW }
  const isHeld = (avatar: string) => Promise.resolve(avatar === held)
  const guarded = withDiskRoom(hosting, { isHeld }, { refusesNew: () => disk.refusal })
  return { hosting, disk, guarded }
}

test.each(['disk_low', 'disk_full'] as const)(
  '%s: a new avatar gets on the list by no door, and no code is used up',
  async (code) => {
    const { hosting, disk, guarded } = await open()
    disk.refusal = { ...LOW, code }
    const [invite = ''] = await guarded.invite(1)
    const refused = {
      name: 'HostingError',
      code,
      message: expect.stringMatching(/full.*Nothing was changed.*another node/),
    }
    await expect(guarded.grant({ avatar: fresh, createdAt: NOW_S, invite })).rejects.toMatchObject(refused)
    await expect(guarded.add([listed, fresh])).rejects.toMatchObject(refused)
    expect([hosting.counts().hosted, hosting.counts().invites]).toEqual([1, 1])
    disk.refusal = undefined
    expect(await guarded.grant({ avatar: fresh, createdAt: NOW_S, invite })).toBe(false)
    expect(hosting.hosts(fresh)).toBe(true)
  },
)

test('an avatar that is on the list or has records here is no newcomer', async () => {
  const { hosting, guarded } = await open()
  await guarded.add([listed, held])
  expect(hosting.hosts(held)).toBe(true)
})

test('what is not about new avatars goes on', async () => {
  const { hosting, guarded } = await open()
  await guarded.block([fresh], { forget: false })
  await guarded.unblock([fresh])
  await guarded.remove([listed])
  expect(hosting.counts()).toMatchObject({ hosted: 0, blocked: 0, gone: 1 })
})
