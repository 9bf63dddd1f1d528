import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { randomUUID } from 'node:crypto'

import { buildPart } from '../../src/record/build.ts'
import { recordId } from '../../src/record/id.ts'
import { signRecord } from '../../src/record/sign.ts'
import type { Citation } from '../../src/record/types.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch, type Written } from '../http/writer.ts'
import { run } from './run.ts'

const UNKNOWN: Citation = { counter: 1, id: `0x${'9'.repeat(64)}` }
/** Seconds within which a test is done. */
const SOON = 60

let node: HttpNode
let cwd: string
beforeAll(async () => {
  node = await startHttpNode()
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-erase-'))
})
afterAll(async () => {
  await node.close()
  rmSync(cwd, { recursive: true })
})

const nowSeconds = (): number => Math.floor(Date.now() / 1_000)

function owner() {
  const key = newKey()
  writeFileSync(join(cwd, 'avatar.key'), Buffer.from(key.secretKey).toString('hex'), { mode: 0o600 })
  return {
    key,
    write: (prev: readonly Citation[], createdAt = nowSeconds()): Written => signedPatch(key, { prev, createdAt }),
    async erase() {
      const typed = `${key.avatar.slice(2, 12)}\n`
      const { code, out, err } = await run(['snapshot', '--erase', '--node', node.url(''), '--json'], {
        cwd,
        stdin: typed,
      })
      return { code, err, report: JSON.parse(out || '{}') as { snapshot: Citation; left: string[]; after: object } }
    },
    async held(): Promise<{ id: string; status: string }[]> {
      const { body } = await node.json(`/v2/avatars/${key.avatar}/records?limit=1000`)
      return (body as { records: { id: string; status: string }[] }).records.filter(
        ({ status }) => status !== 'superseded',
      )
    },
    avatar: async () => (await node.json(`/v2/avatars/${key.avatar}`)).body,
  }
}

test('what waits for others is erased with what is shown, and what is missing, too', async () => {
  const who = owner()
  const first = who.write([])
  const missing = who.write([first.citation])
  const waiting = who.write([missing.citation])
  // More ends than a snapshot can cite, one of them high above the rest.
  const ends = Array.from({ length: 20 }, () => who.write([waiting.citation]))
  const top = who.write([{ counter: 1_000, id: UNKNOWN.id }])
  await postRecords(node, [first, waiting, ...ends, top])
  expect(await who.avatar()).toMatchObject({ head: 1, pending: 22 })

  const { code, report, err } = await who.erase()
  expect({ code, left: report.left, counter: report.snapshot.counter }).toEqual({ code: 0, left: [], counter: 1_002 })
  expect(err).toContain('22 writes cannot be shown yet')
  expect((await who.held()).map(({ id }) => id)).toEqual([report.snapshot.id])
  await postRecords(node, [missing])
  expect(await who.avatar()).toMatchObject({ namespaces: [], pending: 0, missing: { total: 0 }, head: 1_002 })
})

test('so is a part whose snapshot is not there, and a patch that another one cites by a wrong counter', async () => {
  const who = owner()
  const first = who.write([])
  const high = who.write([{ counter: 50, id: UNKNOWN.id }])
  const wrong = who.write([{ counter: 4, id: high.id }])
  const common = { avatar: who.key.avatar, network: 'main', createdAt: nowSeconds(), uuid: randomUUID() }
  const state = [{ platform: 'twitter', identity: 'me', content: { secret: 'address' } }]
  const part = signRecord(buildPart({ ...common, counter: 70, state }), who.key.secretKey)
  await postRecords(node, [first, high, wrong, part])
  const { code, report } = await who.erase()
  expect({ code, left: report.left, counter: report.snapshot.counter }).toEqual({ code: 0, left: [], counter: 71 })
  expect((await who.held()).map(({ id }) => id)).toEqual([report.snapshot.id])
  expect((await who.held()).map(({ id }) => id)).not.toContain(recordId(part.payload))
})

test('what leaves no room above it is named, and the command ends with 1', async () => {
  const who = owner()
  const first = who.write([])
  const middle = who.write([{ counter: 500, id: UNKNOWN.id }])
  const ahead = nowSeconds() + SOON
  // Cited by what is too high itself.
  const late = who.write([middle.citation, { counter: ahead - 1, id: UNKNOWN.id }], ahead)
  await postRecords(node, [first, middle, late])
  const { code, report, err } = await who.erase()
  expect({ code, left: report.left, counter: report.snapshot.counter }).toEqual({
    code: 1,
    left: [late.id],
    counter: 502,
  })
  expect(err).toContain('1 record will not be erased')
  expect(err).toMatch(/1 record not erased: .* not before 20\d\d-.*Z\.\\n {2}0x/)
  expect(new Set((await who.held()).map(({ id }) => id))).toEqual(new Set([report.snapshot.id, late.id]))
  const again = await who.erase()
  expect(again.code).toBe(1)
})
