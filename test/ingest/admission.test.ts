import { afterEach, describe, expect, test, vi } from 'vitest'
import { ADMITS_ALL, type Admission } from '../../src/ingest/admission.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import { judgeMessage } from '../../src/network/verdict.ts'
import { encodeBatch } from '../../src/record/codec.ts'
import type { Avatar } from '../../src/record/types.ts'
import { Writer } from '../store/writer.ts'
import { forged, openDoor, type Door } from './door.ts'
import { WAIT } from '../support/until.ts'

let door: Door
afterEach(() => door.close())

const mine = new Writer(1)
const foreign = new Writer(2)

/** Admits all but those named. */
function admissionOf(refused: Set<Avatar>): Admission {
  return {
    ...ADMITS_ALL,
    peek: (payload) => payloadHead(payload)?.avatar,
    admit: (avatar) => (refused.has(avatar) ? { code: 'not_hosted', message: 'Not here.', retry: false } : undefined),
  }
}

const NOT_HOSTED = { status: 'refused', code: 'not_hosted', message: 'Not here.', retry: false }

describe('a record of an avatar that is not admitted', () => {
  test.each(['http', 'import', 'sync'] as const)(
    'by %s is refused under its id; the others are taken',
    async (origin) => {
      door = await openDoor({ admission: admissionOf(new Set([foreign.avatar])) })
      const [a, b, c] = [mine.patch([]), foreign.patch([]), mine.patch([])]
      const results = await door.ingest.submit([a, b, c, forged(foreign.patch([]))], { origin })
      expect(results).toMatchObject([
        { id: a.id, status: 'stored' },
        { id: b.id, ...NOT_HOSTED },
        { id: c.id, status: 'stored' },
        { status: 'invalid' },
      ])
      expect(door.store.totals().avatars).toBe(1)
      expect(door.announced.flatMap(({ records }) => records)).toHaveLength(2)
    },
  )

  test('by gossip is ignored without a look at its signature', async () => {
    door = await openDoor({ admission: admissionOf(new Set([foreign.avatar])) })
    const batch = encodeBatch([foreign.patch([]), forged(foreign.patch([]))])
    expect(await judgeMessage(door.ingest, batch, { key: 'peer' })).toEqual({
      verdict: 'ignore',
      reason: 'not_hosted',
      records: 0,
    })
    expect(door.verified).toEqual([])
    expect(await door.counts()).toEqual({ 'gossip refused': 2 })
  })

  test('by gossip beside others is verified with them, for all of it may be passed on', async () => {
    door = await openDoor({ admission: admissionOf(new Set([foreign.avatar])) })
    const good = [mine.patch([]), foreign.patch([])]
    expect(await judgeMessage(door.ingest, encodeBatch(good), { key: 'peer' })).toEqual({
      verdict: 'accept',
      reason: 'new',
      records: 1,
    })
    expect(door.verified).toEqual([2])
    const bad = [mine.patch([]), forged(foreign.patch([]))]
    expect((await judgeMessage(door.ingest, encodeBatch(bad), { key: 'peer' })).verdict).toBe('reject')
    expect(door.store.totals()).toMatchObject({ avatars: 1, records: 1 })
  })

  test('by gossip without a head that tells its avatar is looked at as ever', async () => {
    door = await openDoor({ admission: admissionOf(new Set([foreign.avatar])) })
    const odd = { payload: new TextEncoder().encode('{"b":1}'), signature: new Uint8Array(64) }
    expect((await judgeMessage(door.ingest, encodeBatch([odd]), { key: 'peer' })).verdict).toBe('reject')
  })

  test('is not appended though it was on its way when the avatar was let go', async () => {
    const refused = new Set<Avatar>()
    let open = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    door = await openDoor({ admission: admissionOf(refused), beforeCommit: (call) => (call === 1 ? gate : undefined) })
    const first = door.ingest.submit([mine.patch([])], { origin: 'http' })
    await vi.waitFor(() => expect(door.commits).toHaveLength(1), WAIT)
    // Verified, and waits for the commit before it.
    const second = door.ingest.submit([foreign.patch([])], { origin: 'http' })
    await vi.waitFor(() => expect(door.verified).toHaveLength(2), WAIT)
    await new Promise((resolve) => setTimeout(resolve, 50))
    refused.add(foreign.avatar)
    open()
    expect(await first).toMatchObject([{ status: 'stored' }])
    expect(await second).toMatchObject([NOT_HOSTED])
    expect(door.store.totals().avatars).toBe(1)
  })
})
