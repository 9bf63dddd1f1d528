import { createHash } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { PEER, post, startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { newKey, posted, postRecords, signedPatch, signedSnapshot } from './writer.ts'

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

const ZERO = new Uint8Array(32)
const bytesOf = (id: string) => Buffer.from(id.slice(2), 'hex')
const digestOf = (...ids: (string | Uint8Array)[]) => {
  const hash = createHash('sha256')
  for (const id of ids) hash.update(typeof id === 'string' ? bytesOf(id) : id)
  return hash.digest('hex')
}

describe('GET /v2/avatars/{avatar}', () => {
  it('shows the whole avatar', async () => {
    const key = newKey()
    const first = signedPatch(key, { patch: { a: 1 } })
    const forks = [
      signedPatch(key, { prev: [first.citation], patch: { b: 2 } }),
      signedPatch(key, { prev: [first.citation], platform: 'nextid', identity: key.avatar, patch: { c: 3 } }),
    ].toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const lost = signedPatch(key, { prev: forks.map(({ citation }) => citation) })
    const waiting = signedPatch(key, { prev: [lost.citation] })
    await postRecords(node, [first, ...forks, waiting])
    const { status, headers, body } = await node.json(`/v2/avatars/${key.avatar}`)
    expect(status).toBe(200)
    expect(body).toEqual({
      avatar: key.avatar,
      network: 'main',
      head: 2,
      tips: forks.map(({ citation }) => citation),
      tips_total: 2,
      base: null,
      digest: digestOf(ZERO, ...forks.map(({ id }) => id)),
      pending: 1,
      missing: { total: 1, ids: [lost.id] },
      namespaces: [
        { platform: 'nextid', identity: key.avatar, content: { c: 3 } },
        { platform: 'twitter', identity: 'yeiwb', content: { a: 1, b: 2 } },
      ],
    })
    expect(Object.keys(body)).toEqual([
      ...['avatar', 'network', 'head', 'tips', 'tips_total', 'base', 'digest', 'pending', 'missing', 'namespaces'],
    ])
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(headers.get('access-control-allow-origin')).toBe('*')
  })

  it('shows a base', async () => {
    const key = newKey()
    const snapshot = signedSnapshot(key, [], [{ platform: 'twitter', identity: 'x', content: { s: 1 } }])
    await postRecords(node, [snapshot])
    const { body } = await node.json(`/v2/avatars/${key.avatar}`)
    expect([body.base, body.tips, body.digest]).toEqual([
      snapshot.citation,
      [snapshot.citation],
      digestOf(snapshot.id, snapshot.id),
    ])
  })

  it('takes any form of the avatar, and answers each alike', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    const expected = await (await node.fetch(`/v2/avatars/${key.avatar}`)).text()
    const forms = [key.avatar.slice(2), key.uncompressed, key.avatar.toUpperCase().replace('0X', '0x'), key.avatar]
    for (const form of forms) {
      expect(await (await node.fetch(`/v2/avatars/${form}`)).text()).toBe(expected)
      expect(await (await node.fetch(`/v2/avatars/${form}?x=1`)).text()).toBe(expected)
    }
  })

  it('answers 304 to who has it, until it changes', async () => {
    const key = newKey()
    const path = `/v2/avatars/${key.avatar}`
    const first = signedPatch(key)
    await postRecords(node, [first])
    const { headers, body } = await node.json(path)
    const etag = headers.get('etag') ?? ''
    expect(etag).toBe(`"${body.digest}"`)
    const ask = (ifNoneMatch: string) => node.fetch(path, { headers: { 'if-none-match': ifNoneMatch } })
    // Twice: from the store, then from memory.
    for (const each of [etag, `W/${etag}`, `"other", ${etag}`, '*', etag]) {
      const answer = await ask(each)
      expect([each, answer.status, await answer.text(), answer.headers.get('etag')]).toEqual([each, 304, '', etag])
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    }
    expect((await ask('"other"')).status).toBe(200)
    await postRecords(node, [signedPatch(key, { prev: [first.citation] })])
    expect((await ask(etag)).status).toBe(200)
  })

  it('has another entity tag when only what is pending changes', async () => {
    const key = newKey()
    const first = signedPatch(key)
    await postRecords(node, [first])
    const before = await node.json(`/v2/avatars/${key.avatar}`)
    await postRecords(node, [signedPatch(key, { prev: [{ counter: 5, id: `0x${'ab'.repeat(32)}` }] })])
    const after = await node.json(`/v2/avatars/${key.avatar}`)
    expect(after.body.digest).toBe(before.body.digest)
    expect(after.headers.get('etag')).not.toBe(before.headers.get('etag'))
    expect(after.body.pending).toBe(1)
  })

  it('shows every write to who asks after its answer, whatever else is read and written', async () => {
    const keys = [newKey(), newKey()]
    await Promise.all(
      keys.map(async (key) => {
        let prev: { counter: number; id: `0x${string}` }[] = []
        for (let n = 1; n <= 40; n++) {
          const record = signedPatch(key, { prev, patch: { n } })
          const readers = [1, 2, 3].map(() => node.json(`/v2/avatars/${key.avatar}`))
          await postRecords(node, [record])
          const { body } = await node.json(`/v2/avatars/${key.avatar}`)
          expect(body.namespaces[0].content).toEqual({ n })
          await Promise.all(readers)
          prev = [record.citation]
        }
      }),
    )
  })

  it('answers HEAD with the head alone', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    const get = await node.fetch(`/v2/avatars/${key.avatar}`)
    const head = await node.fetch(`/v2/avatars/${key.avatar}`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(head.headers.get('content-length')).toBe(String((await get.arrayBuffer()).byteLength))
  })

  it('refuses who is unknown or none', async () => {
    const unknown = await node.json(`/v2/avatars/${newKey().avatar}`)
    expect([unknown.status, unknown.body.code]).toEqual([404, 'unknown_avatar'])
    const none = await node.json(`/v2/avatars/0x02${'00'.repeat(32)}`)
    expect([none.status, none.body.code]).toEqual([400, 'invalid_avatar'])
  })
})

describe('GET /v2/avatars/{avatar}/{platform}/{identity}', () => {
  it.each(['yeiwb', 'a/b?c#d', '100%', '%2F', 'ü 漢 💥', '+', '漢'.repeat(85), '__proto__'])(
    'finds %j',
    async (identity) => {
      const key = newKey()
      const first = signedPatch(key, { identity, patch: { found: identity } })
      await postRecords(node, [first])
      const path = `/v2/avatars/${key.uncompressed}/twitter/${encodeURIComponent(identity)}`
      const { status, headers, body } = await node.json(path)
      expect([status, body]).toEqual([200, { found: identity }])
      const etag = headers.get('etag') ?? ''
      expect((await node.fetch(path, { headers: { 'if-none-match': etag } })).status).toBe(304)

      // From the cache: by its canonical path without the framework, and by others. A write shows in the next answer.
      const paths = [path, path.replace(key.uncompressed, key.avatar)]
      for (const each of [...paths, ...paths]) {
        const again = await node.json(each)
        expect([again.body, again.headers.get('etag')]).toEqual([{ found: identity }, etag])
      }
      await postRecords(node, [signedPatch(key, { identity, patch: { found: null, more: 1 }, prev: [first.citation] })])
      for (const each of paths) expect((await node.json(each)).body).toEqual({ more: 1 })
    },
  )

  it('takes any form of the avatar under nextid', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key, { platform: 'nextid', identity: key.avatar, patch: { own: true } })])
    for (const form of [key.avatar, key.uncompressed]) {
      expect((await node.json(`/v2/avatars/${key.avatar}/nextid/${form}`)).body).toEqual({ own: true })
    }
  })

  it('keeps its entity tag while others change', async () => {
    const key = newKey()
    const first = signedPatch(key)
    await postRecords(node, [first])
    const path = `/v2/avatars/${key.avatar}/twitter/yeiwb`
    const before = (await node.fetch(path)).headers.get('etag')
    await postRecords(node, [signedPatch(key, { platform: 'github', prev: [first.citation] })])
    expect((await node.fetch(path)).headers.get('etag')).toBe(before)
  })

  it('refuses what does not exist', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    for (const path of [
      `${key.avatar}/twitter/other`,
      `${newKey().avatar}/twitter/yeiwb`,
      `${key.avatar}/Twitter/yeiwb`,
    ]) {
      const { status, body } = await node.json(`/v2/avatars/${path}`)
      expect([path, status, body.code]).toEqual([path, 404, 'unknown_namespace'])
    }
  })
})

describe('GET /v2/avatars/{avatar}/records', () => {
  it('gives records in order of arrival, page by page', async () => {
    const key = newKey()
    const records = Array.from({ length: 70 }, (_, n) => signedPatch(key, { identity: `i${n}` }))
    for (const at of [0, 30, 60]) await postRecords(node, records.slice(at, at + 30))
    const seen: unknown[] = []
    let cursor: string | undefined
    for (;;) {
      const query = cursor === undefined ? 'limit=40' : `limit=40&cursor=${cursor}`
      const { body } = await node.json(`/v2/avatars/${key.avatar}/records?${query}`)
      if (cursor !== undefined && body.records.length === 0) {
        expect(body.cursor).toBe(cursor)
        break
      }
      seen.push(...body.records)
      cursor = body.cursor
      expect(body.digest).toBe((await node.json(`/v2/avatars/${key.avatar}`)).body.digest)
    }
    expect(seen).toEqual(records.map((record) => ({ ...posted(record), id: record.id, status: 'stored' })))
  })

  it('says what became of each', async () => {
    const key = newKey()
    const waiting = signedPatch(key, { prev: [{ counter: 1, id: `0x${'cd'.repeat(32)}` }] })
    await postRecords(node, [waiting])
    const { body } = await node.json(`/v2/avatars/${key.avatar}/records`)
    expect(body.records.map(({ id, status }: { id: string; status: string }) => [id, status])).toEqual([
      [waiting.id, 'pending'],
    ])
  })

  it('ends a page early rather than grow beyond bounds', async () => {
    const key = newKey()
    const records = Array.from({ length: 40 }, (_, n) =>
      signedPatch(key, { identity: `i${n}`, patch: { text: 'x'.repeat(255_000) } }),
    )
    for (const record of records) await postRecords(node, [record])
    const read: string[] = []
    let cursor = ''
    // 17 payloads of 255,000 bytes take 4 MiB, and the node reads two of them at a time.
    for (const expected of [18, 18, 4, 0]) {
      const { body } = await node.json(`/v2/avatars/${key.avatar}/records?limit=1000${cursor}`)
      expect(body.records).toHaveLength(expected)
      expect(body.digest).toMatch(/^[0-9a-f]{64}$/)
      read.push(...body.records.map(({ id }: { id: string }) => id))
      cursor = `&cursor=${body.cursor}`
    }
    expect(read).toEqual(records.map(({ id }) => id))
  })

  it('refuses cursors that are none or of another store', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    const { body } = await node.json(`/v2/avatars/${key.avatar}/records`)
    const [epoch, sequence] = body.cursor.split('-')
    const other = epoch === '0'.repeat(16) ? '1'.repeat(16) : '0'.repeat(16)
    for (const [cursor, status, code] of [
      [`${other}-${sequence}`, 410, 'cursor_expired'],
      [`${epoch}-${Number(sequence) + 1000}`, 410, 'cursor_expired'],
      ['x', 400, 'invalid_cursor'],
      [`${epoch}-01`, 400, 'invalid_cursor'],
      [`${epoch}--1`, 400, 'invalid_cursor'],
    ] as const) {
      const answer = await node.json(`/v2/avatars/${key.avatar}/records?cursor=${cursor}`)
      expect([cursor, answer.status, answer.body.code]).toEqual([cursor, status, code])
    }
  })

  it.each(['limit=0', 'limit=1001', 'limit=x', 'limit=1.5', 'limit=', 'limit=1&limit=2', 'cursor=a&cursor=b'])(
    'refuses %s',
    async (query) => {
      const { status, body } = await node.json(`/v2/avatars/${newKey().avatar}/records?${query}`)
      expect([status, body.code]).toEqual([400, 'invalid_request'])
    },
  )

  it('knows who is unknown', async () => {
    const { status, body } = await node.json(`/v2/avatars/${newKey().avatar}/records`)
    expect([status, body.code]).toEqual([404, 'unknown_avatar'])
  })
})

describe('GET /v2/avatars', () => {
  it('lists all, in order, page by page', async () => {
    const own = await startHttpNode()
    try {
      expect((await own.json('/v2/avatars')).body).toEqual({ avatars: [], cursor: null })
      const keys = Array.from({ length: 7 }, newKey)
      await postRecords(
        own,
        keys.map((key) => signedPatch(key)),
      )
      const listed: string[] = []
      for (let cursor = ''; cursor !== null;) {
        const { body } = await own.json(`/v2/avatars?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`)
        expect(body.avatars.length).toBeLessThanOrEqual(3)
        listed.push(...body.avatars)
        cursor = body.cursor
      }
      expect(listed).toEqual(keys.map(({ avatar }) => avatar).toSorted())
    } finally {
      await own.close()
    }
  })

  it('refuses a cursor that is no avatar', async () => {
    expect((await node.json('/v2/avatars?cursor=x')).body.code).toBe('invalid_avatar')
  })
})

describe('POST /v2/records', () => {
  it('judges each record by itself', async () => {
    const key = newKey()
    const good = signedPatch(key)
    const next = signedPatch(key, { prev: [good.citation] })
    const ahead = signedPatch(key, { createdAt: Math.floor(Date.now() / 1000) + 7200 })
    const waiting = signedPatch(key, { prev: [{ counter: 3, id: `0x${'ef'.repeat(32)}` }] })
    const { status, body } = await node.json(
      '/v2/records',
      post({
        records: [
          posted(good),
          { payload: '{}', signature: posted(good).signature },
          { ...posted(good), signature: 'zz' },
          { payload: '\ud800', signature: posted(good).signature },
          posted(good),
          posted(waiting),
          posted(ahead),
          { ...posted(next), signature: Buffer.from(next.signature).toString('base64') },
          { ...posted(next), signature: posted(good).signature },
        ],
      }),
    )
    expect(status).toBe(200)
    const brief = body.results.map((result: Record<string, unknown>) => [
      result['status'],
      result['code'],
      result['retry'],
    ])
    expect(brief).toEqual([
      ['stored', undefined, undefined],
      ['invalid', 'wrong_version', undefined],
      ['invalid', 'invalid_signature', undefined],
      ['invalid', 'lone_surrogate', undefined],
      ['duplicate', undefined, undefined],
      ['pending', undefined, undefined],
      ['refused', 'created_at_ahead', true],
      ['stored', undefined, undefined],
      ['invalid', 'invalid_signature', undefined],
    ])
    expect(body.results[0].id).toBe(good.id)
    expect(body.results[7].id).toBe(next.id)
    for (const result of body.results) {
      if (result.code !== undefined) expect(result.message.length).toBeGreaterThan(10)
    }
    const again = await postRecords(node, [next])
    expect(again.body.results).toEqual([{ id: next.id, status: 'duplicate' }])
  })

  it('tells of what a snapshot replaced', async () => {
    const key = newKey()
    const first = signedPatch(key)
    const late = signedPatch(key, { patch: { late: 1 } })
    await postRecords(node, [first, signedSnapshot(key, [first.citation], [])])
    const { body } = await postRecords(node, [late])
    expect([body.results[0].status, body.results[0].id]).toEqual(['superseded', late.id])
  })

  it('takes v where it fits', async () => {
    const key = newKey()
    const record = signedPatch(key)
    const hex = posted(record).signature
    const verdicts: string[] = []
    for (const v of ['00', '01', '1b', '1c', '02', '1d']) {
      const { body } = await node.json('/v2/records', post({ records: [{ ...posted(record), signature: hex + v }] }))
      verdicts.push(body.results[0].code ?? body.results[0].status)
    }
    // One of 0 and 1 fits, and 27 and 28 are the same two.
    expect(verdicts.slice(0, 4).filter((verdict) => verdict === 'wrong_recovery')).toHaveLength(2)
    expect(verdicts.slice(0, 4).filter((verdict) => verdict === 'stored')).toHaveLength(1)
    expect(verdicts.slice(4)).toEqual(['wrong_recovery', 'wrong_recovery'])
  })

  it('takes 1,000 and no more', async () => {
    const one = posted(signedPatch(newKey()))
    const many = await node.json('/v2/records', post({ records: Array(1000).fill(one) }))
    expect(many.body.results).toHaveLength(1000)
    const tooMany = await node.json('/v2/records', post({ records: Array(1001).fill(one) }))
    expect([tooMany.status, tooMany.body.code]).toEqual([400, 'invalid_request'])
    expect((await node.json('/v2/records', post({ records: [] }))).body).toEqual({ results: [] })
  })

  it.each<[string, unknown]>([
    ['nothing', {}],
    ['no list', { records: {} }],
    ['numbers', { records: [1] }],
    ['a payload that is no text', { records: [{ payload: {}, signature: '0x' }] }],
    ['a record without signature', { records: [{ payload: '{}' }] }],
  ])('refuses %s', async (_what, body) => {
    const answer = await node.json('/v2/records', post(body))
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request'])
  })

  it('asks to come back when the door is full', async () => {
    const own = await startHttpNode({ ingestLimits: { waitingRecords: 1 } })
    try {
      const answers = await Promise.all(Array.from({ length: 10 }, () => postRecords(own, [signedPatch(newKey())])))
      const refused = answers.filter(({ status }) => status === 503)
      expect(refused.length).toBeGreaterThan(0)
      for (const { headers, body } of refused) {
        expect([body.code, Number(headers.get('retry-after')) > 0]).toEqual(['busy', true])
      }
      const stored = answers.filter(({ body }) => body.results?.[0].status === 'stored')
      expect([stored.length, own.store.totals().records]).toEqual([10 - refused.length, stored.length])
    } finally {
      await own.close()
    }
  })
})

describe('the node', () => {
  it('shows its status and peers', async () => {
    const { body } = await node.json('/v2/status')
    expect(body).toMatchObject({
      version: '1.2.3',
      network: 'main',
      peer_id: '12D3KooWThisNode',
      addresses: ['/ip4/127.0.0.1/tcp/1/p2p/x'],
      peers: 1,
      ...node.store.totals(),
      epoch: node.store.epoch,
    })
    expect(body.engine).toMatch(/secp256k1|noble/)
    expect(body.uptime_seconds).toBeGreaterThanOrEqual(0)
    expect((await node.json('/v2/peers')).body).toEqual({ peers: [PEER] })
  })

  it('shows metrics, by route', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    for (let n = 0; n < 3; n++) await (await node.fetch(`/v2/avatars/${key.avatar}`)).text()
    await (await node.fetch('/nowhere/at/all')).text()
    const answer = await node.fetch('/metrics')
    expect(answer.headers.get('content-type')).toContain('text/plain')
    const text = await answer.text()
    expect(text).toMatch(
      /avatar_kv_http_request_duration_seconds_count\{route="\/v2\/avatars\/:avatar",method="GET",code="200"\} \d+/,
    )
    expect(text).toMatch(
      /avatar_kv_http_request_duration_seconds_count\{route="\/v2\/records",method="POST",code="200"\} \d+/,
    )
    expect(text).not.toContain('nowhere')
    expect(text).toContain('avatar_kv_event_streams 0')
  })
})
