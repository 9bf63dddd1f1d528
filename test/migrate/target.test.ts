import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { newKey, signedPatch, signedSnapshot } from '../http/writer.ts'
import { chain, give, migrate, openFolder, openNode, openTamperer, seeded, shown, url } from './hosts.ts'

const RECORDS = /^GET \/v2\/avatars\/\{avatar\}\/records/
const refuseAll =
  (code: string) =>
  ({ records }: { records: readonly unknown[] }) => ({
    status: 200,
    body: { results: records.map(() => ({ id: null, status: 'refused', code, message: 'Not here.', retry: true })) },
  })

describe('a new host', () => {
  it('that is busy is waited for, as long as it asks', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key } = await seeded(source, 30)
    const busy = { code: 'busy', message: 'Later.' }
    const door = await openTamperer(target, {
      post: (_, number) => (number < 2 ? { status: 503, body: busy, headers: { 'retry-after': '0' } } : undefined),
    })
    const { code } = await migrate(url(source), door.url, key.avatar)
    expect(code).toBe(0)
    expect(await shown(target, key.avatar)).toEqual(await shown(source, key.avatar))
  })

  it.each([
    ['not_hosted', 'avatar-kv host request'],
    ['blocked', 'Choose another host'],
    ['avatar_quota', 'avatar-kv snapshot'],
    ['node_quota', 'The host is full'],
    ['created_at_ahead', 'clocks'],
  ])('that refuses with %s is asked no further, and it is said what to do', async (refusal, advice) => {
    const [source, target] = [await openNode(), await openNode()]
    const { key } = await seeded(source, 30)
    const door = await openTamperer(target, { post: refuseAll(refusal) })
    const { code, out, err } = await migrate(url(source), door.url, key.avatar)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(`${refusal} (30): Not here.`)
    expect(err).toContain(advice)
    expect(door.calls.filter((call) => call.startsWith('POST')).length).toBeLessThan(4)
  })

  it('that acknowledges records and does not keep them is found out', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key } = await seeded(source, 30)
    const door = await openTamperer(target, {
      post: ({ records }) => ({ status: 200, body: { results: records.map(() => ({ id: null, status: 'stored' })) } }),
    })
    const { code, err } = await migrate(url(source), door.url, key.avatar)
    expect(code).toBe(1)
    expect(err).toContain('acknowledged all records, and shows nothing of the avatar')
  })

  it('of another network is given nothing', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key } = await seeded(source, 3)
    const door = await openTamperer(target, { status: (answer) => ({ ...answer, network: 'other' }) })
    const { code, err } = await migrate(url(source), door.url, key.avatar)
    expect(code).toBe(1)
    expect(err).toContain('is of the network other, not main')
    expect(door.calls.every((call) => /^GET \/v2\/(status|node)\b/.test(call))).toBe(true)
  })

  it('that holds more keeps it, and that is said', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key, records } = await seeded(source, 10)
    const more = signedPatch(key, { prev: records.slice(3, 4).map(({ citation }) => citation), patch: { more: true } })
    await give(target, [...records.slice(0, 5), more])
    const { code, out } = await migrate(url(source), url(target), key.avatar)
    expect(code).toBe(0)
    expect(out).toContain('and more records of')
    expect(out).toContain('10 read, 5 new there, 1 only there')
    expect(await shown(target, key.avatar)).toMatchObject({ head: 10, tips_total: 2, pending: 0 })
    expect(await shown(source, key.avatar)).toMatchObject({ head: 10, tips_total: 1 })
  })

  it('that has a newer snapshot keeps that', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key, records } = await seeded(source, 10)
    const tip = records.slice(-1).map(({ citation }) => citation)
    await give(target, records)
    await give(target, [signedSnapshot(key, tip, [])])
    const { code, out } = await migrate(url(source), url(target), key.avatar, '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ outcome: 'target_has_more', head: 11 })
    expect(await shown(target, key.avatar)).toMatchObject({ head: 11, namespaces: [] })
  })
})

describe('an avatar whose document is more than is read', () => {
  const large = (answer: Record<string, unknown>) => ({ ...answer, namespaces: ['x'.repeat(65 * 1024 * 1024)] })

  it('moves all the same: receipts tell whether both are equal', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key } = await seeded(source, 30)
    const [from, to] = [await openTamperer(source, { avatar: large }), await openTamperer(target, { avatar: large })]
    const { code, out } = await migrate(from.url, to.url, key.avatar, '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ outcome: 'equal', moved: { read: 30, given: 30 }, head: 30 })
    expect(await shown(target, key.avatar)).toEqual(await shown(source, key.avatar))
  })

  it('does not hide what is held back', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key, records } = await seeded(source, 5)
    const waiting = signedPatch(key, { prev: [{ counter: 9, id: `0x${'9'.repeat(64)}` }] })
    await give(source, [waiting])
    expect(records).toHaveLength(5)
    const from = await openTamperer(source, {
      avatar: large,
      page: (page) => ({ ...page, records: page.records.filter(({ id }) => id !== waiting.id) }),
    })
    const { code, err } = await migrate(from.url, url(target), key.avatar)
    expect(code).toBe(1)
    expect(err).toContain('does not send everything that it shows')
  })
})

describe('with --work-dir', () => {
  it('another run reads and gives only what came since, and a store that is new is read from its beginning', async () => {
    const [source, target, workDir] = [await openNode(), await openNode(), await openFolder()]
    const [from, to] = [await openTamperer(source, {}), await openTamperer(target, {})]
    const { key, records } = await seeded(source, 450)
    const again = async () => {
      from.calls.length = 0
      to.calls.length = 0
      const { code, out } = await migrate(from.url, to.url, key.avatar, '--work-dir', workDir, '--json')
      expect(code).toBe(0)
      const { moved } = JSON.parse(out) as { moved: unknown }
      return { moved, pages: from.calls.filter((call) => RECORDS.test(call)).length }
    }
    expect(await again()).toEqual({ moved: { read: 450, given: 450, extra: 0 }, pages: 6 })
    expect(await again()).toEqual({ moved: { read: 0, given: 0, extra: 0 }, pages: 1 })
    expect(to.calls.filter((call) => call.startsWith('POST'))).toEqual([])
    const next = signedPatch(key, { prev: records.slice(-1).map(({ citation }) => citation) })
    await give(source, [next])
    expect(await again()).toEqual({ moved: { read: 1, given: 1, extra: 0 }, pages: 2 })

    const places = JSON.parse(await readFile(join(workDir, `main-${key.avatar}`, 'migration.json'), 'utf8')) as object
    expect(places).toMatchObject({ avatar: key.avatar, hosts: { [from.url]: { cursor: expect.any(String) } } })
    expect(await shown(target, key.avatar)).toEqual(await shown(source, key.avatar))
  })

  it('a cursor of another life of the old host, or of nobody, only costs a reading', async () => {
    const [source, target, workDir] = [await openNode(), await openNode(), await openFolder()]
    const { key } = await seeded(source, 20)
    const expired = { status: 410, body: { code: 'cursor_expired', message: 'Begin anew.' } }
    let isNew = false
    const from = await openTamperer(source, { page: (page) => (isNew ? ((isNew = false), expired) : page) })
    expect((await migrate(from.url, url(target), key.avatar, '--work-dir', workDir)).code).toBe(0)
    isNew = true
    const { code, out } = await migrate(from.url, url(target), key.avatar, '--work-dir', workDir)
    expect(code).toBe(0)
    expect(out).toContain('0 read, 0 new there')
  })

  it('a new host that lost its store gets everything again', async () => {
    const [source, first, second, workDir] = [await openNode(), await openNode(), await openNode(), await openFolder()]
    const { key } = await seeded(source, 40)
    expect((await migrate(url(source), url(first), key.avatar, '--work-dir', workDir)).code).toBe(0)
    // The same address, another store behind it.
    const to = await openTamperer(second, {})
    const file = join(workDir, `main-${key.avatar}`, 'migration.json')
    const { writeFile } = await import('node:fs/promises')
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll(url(first), to.url))
    const { code, out } = await migrate(url(source), to.url, key.avatar, '--work-dir', workDir)
    expect(code).toBe(0)
    expect(out).toContain('40 new there')
    expect(await shown(second, key.avatar)).toEqual(await shown(source, key.avatar))
  })
})

describe('records in a bad order', () => {
  it('all get to the new host, whatever waits for what', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const key = newKey()
    const records = chain(key, 1_500)
    // The old host itself had them in good order; it hands them out from the end.
    for (const part of [records.slice(0, 1_000), records.slice(1_000)]) await give(source, part)
    const all = records.toReversed()
    const from = await openTamperer(source, {
      page(page, number) {
        const part = all.slice(number * 100, number * 100 + 100)
        if (part.length === 0) return { ...page, cursor: 'end', records: [] }
        const sent = part.map(({ payload, signature, id }) => ({
          payload: Buffer.from(payload).toString(),
          signature: `0x${Buffer.from(signature).toString('hex')}`,
          id,
          status: 'stored',
        }))
        return { records: sent, digest: page.digest, cursor: `c${number}` }
      },
    })
    const { code, err } = await migrate(from.url, url(target), key.avatar)
    expect(err).not.toContain('avatar-kv:')
    expect(code).toBe(0)
    expect(await shown(target, key.avatar)).toEqual(await shown(source, key.avatar))
  })
})
