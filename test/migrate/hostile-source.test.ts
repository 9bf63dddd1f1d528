import { describe, expect, it } from 'vitest'

import { newKey, posted, signedPatch, type Written } from '../http/writer.ts'
import type { HttpNode } from '../http/node.ts'
import { chain, give, migrate, openNode, openTamperer, seeded, shown, url } from './hosts.ts'
import type { Page, Tampering } from './tamper.ts'

/** An old host that lies about an avatar of 250 records, and a new, empty one. */
async function between(tampering: Tampering, count = 250) {
  const [source, target] = [await openNode(), await openNode()]
  const { key, records } = await seeded(source, count)
  const liar = await openTamperer(source, tampering)
  const outcome = await migrate(liar.url, url(target), key.avatar, '--json')
  return { source, target, avatar: key.avatar, records, liar, ...outcome }
}

const sent = ({ id, ...record }: Written): Page['records'][number] => ({ ...posted(record), id, status: 'stored' })

/** Ids of all records that a node lists for an avatar. */
async function held(node: HttpNode, avatar: string): Promise<string[]> {
  const { body } = await node.json(`/v2/avatars/${avatar}/records?limit=1000`)
  return ((body as { records?: { id: string }[] }).records ?? []).map(({ id }) => id)
}

describe('an old host that lies', () => {
  it('cannot write the records of other avatars into the new host', async () => {
    const others = [chain(newKey(), 3), chain(newKey(), 2)]
    const foreign = others.flat().map(sent)
    const { code, out, err, source, target, avatar } = await between({
      page: (page, number) => ({ ...page, records: number < 3 ? [...foreign, ...page.records] : page.records }),
    })
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ outcome: 'equal', bad_records: 15, moved: { given: 250 } })
    expect(err).toContain('of another avatar')
    expect(await shown(target, avatar)).toEqual(await shown(source, avatar))
    expect((await target.json('/v2/avatars')).body).toMatchObject({ avatars: [avatar] })
  })

  it('cannot pass off the records of another avatar as the ones that are asked for', async () => {
    const foreign = chain(newKey(), 5).map(sent)
    const { code, err, target } = await between({
      page: (page) => ({ ...page, records: page.records.length > 0 ? foreign : [] }),
    })
    expect(code).toBe(1)
    expect(err).toContain('has nothing of')
    expect((await target.json('/v2/avatars')).body).toEqual({ avatars: [], cursor: null })
  })

  it('cannot edit a record, and what rests on it is not shown', async () => {
    const { code, err, target, avatar, records } = await between({
      page: (page) => ({
        ...page,
        records: page.records.map((record) => ({
          ...record,
          payload: record.payload.replace('"a200":200', '"a200":201'),
        })),
      }),
    })
    expect(code).toBe(1)
    expect(err).toContain('does not send everything that it shows')
    expect(err).toContain('invalid_signature')
    const ids = await held(target, avatar)
    expect(ids).toHaveLength(249)
    expect(ids).not.toContain(records[200]?.id)
    expect(await shown(target, avatar)).toMatchObject({
      head: 200,
      pending: 49,
      missing: { total: 1, ids: [records[200]?.id] },
    })
  })

  it('cannot drop a record unseen', async () => {
    const { code, err, target, avatar, records } = await between({
      page: (page) => ({ ...page, records: page.records.filter(({ payload }) => !payload.includes('"a70":')) }),
    })
    expect(code).toBe(1)
    expect(err).toContain('does not send everything that it shows')
    expect(await shown(target, avatar)).toMatchObject({ head: 70, missing: { ids: [records[70]?.id] } })
  })

  it('cannot drop the newest record unseen', async () => {
    const { code, err, target, avatar } = await between({
      page: (page) => ({ ...page, records: page.records.length === 50 ? page.records.slice(0, 49) : page.records }),
    })
    expect(code).toBe(1)
    expect(err).toContain('does not send everything that it shows')
    expect(await shown(target, avatar)).toMatchObject({ head: 249 })
  })

  it('cannot drop a pending record unseen', async () => {
    const [source, target] = [await openNode(), await openNode()]
    const { key, records } = await seeded(source, 5)
    const lost = signedPatch(key, { prev: records.slice(-1).map(({ citation }) => citation) })
    const waiting = signedPatch(key, { prev: [lost.citation] })
    await give(source, [waiting])
    const liar = await openTamperer(source, {
      page: (page) => ({ ...page, records: page.records.filter(({ id }) => id !== waiting.id) }),
    })
    const { code, err } = await migrate(liar.url, url(target), key.avatar)
    expect(code).toBe(1)
    expect(err).toContain('does not send everything that it shows')
  })

  it('cannot exchange signatures', async () => {
    const { code, err, target, avatar } = await between({
      page: (page) => ({
        ...page,
        records: page.records.map((record, at) => ({
          ...record,
          signature: page.records[at ^ 1]?.signature ?? record.signature,
        })),
      }),
    })
    expect(code).toBe(1)
    expect(err).toContain('has nothing of')
    expect(await shown(target, avatar)).toBeUndefined()
  })

  it('cannot claim a state that its records do not make', async () => {
    const { code, err } = await between({ avatar: (answer) => ({ ...answer, digest: 'ab'.repeat(32) }) })
    expect(code).toBe(1)
    expect(err).toContain('its records make another state than it says')
  })

  it('gains nothing by names that records do not have', async () => {
    const { code, out, err, source, target, avatar } = await between({
      page: (page) => ({ ...page, records: page.records.map((record) => ({ ...record, id: `0x${'7'.repeat(64)}` })) }),
    })
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ outcome: 'equal', bad_records: 250 })
    expect(err).toContain('it is the record 0x')
    expect(await shown(target, avatar)).toEqual(await shown(source, avatar))
  })
})

describe('an old host that never ends', () => {
  it.each([
    [
      'with the same cursor',
      (() => {
        let first: Page | undefined
        return { page: (page: Page) => ({ ...(first ??= page), cursor: 'again' }) }
      })(),
      'the same page again and again',
    ],
    [
      'with the same records under new cursors',
      (() => {
        let first: Page | undefined
        return { page: (page: Page, number: number) => ({ ...(first ??= page), cursor: `${page.cursor}${number}` }) }
      })(),
      'the same records again and again',
    ],
    [
      'with records that are none',
      (() => {
        const junk = {
          payload: '{"a":1}',
          signature: `0x${'1'.repeat(128)}`,
          id: `0x${'2'.repeat(64)}`,
          status: 'stored',
        }
        return {
          page: (_: Page, n: number) => ({
            records: Array.from({ length: 100 }, () => junk),
            digest: '',
            cursor: `c${n}`,
          }),
        }
      })(),
      'more than 1000 bad records',
    ],
    [
      'with cursors that expire',
      { page: () => ({ status: 410, body: { code: 'cursor_expired', message: 'x' } }) },
      'restarts its history again and again',
    ],
  ])('is left: %s', async (_, tampering, message) => {
    const [source, target] = [await openNode(), await openNode()]
    const { key } = await seeded(source, 250)
    const liar = await openTamperer(source, tampering as Tampering)
    const { code, err } = await migrate(liar.url, url(target), key.avatar)
    expect(code).toBe(1)
    expect(err).toContain(message)
    expect(liar.calls.length).toBeLessThan(100)
  })
})
