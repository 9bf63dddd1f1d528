import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Level } from 'level'
import { pino } from 'pino'
import { afterEach, expect, it, vi } from 'vitest'

import { OPERATOR_TOKEN, post, startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { newKey, personalSign, posted, postRecords, signedPatch } from './writer.ts'

let node: HttpNode | undefined
let folder: string | undefined
afterEach(async () => {
  vi.restoreAllMocks()
  await node?.close()
  node = undefined
  if (folder !== undefined) await rm(folder, { recursive: true })
  folder = undefined
})

/** From now on LevelDB answers each write as it does on a full disk. */
function fillDisk(): void {
  const batch = Level.prototype.batch
  vi.spyOn(Level.prototype, 'batch').mockImplementation(function (this: Level) {
    const made = batch.call(this) as unknown as { write: () => Promise<void> }
    const error = Object.assign(new Error('IO error: 000005.log: No space left on device'), { code: 'LEVEL_IO_ERROR' })
    made.write = () => Promise.reject(error)
    return made as never
  })
}

const OPERATOR = { authorization: `Bearer ${OPERATOR_TOKEN}` }
const archiveOf = async (at: HttpNode) => (await at.fetch('/v2/archives')).text()

it.each([
  [
    'POST /v2/records',
    async (at: HttpNode) => {
      const body = { records: [posted(signedPatch(newKey()))] }
      return () => at.json('/v2/records', post(body))
    },
  ],
  [
    'POST /v1/kv',
    async (at: HttpNode) => {
      const key = newKey()
      const wish = { avatar: key.uncompressed, platform: 'twitter', identity: 'a', patch: { a: 1 } }
      const { uuid, created_at, sign_payload } = (await at.json('/v1/kv/payload', post(wish))).body
      return () => at.json('/v1/kv', post({ ...wish, uuid, created_at, signature: personalSign(sign_payload, key) }))
    },
  ],
  [
    'POST /v2/archives',
    async (at: HttpNode) => {
      const other = await startHttpNode()
      await postRecords(other, [signedPatch(newKey()), signedPatch(newKey())])
      const body = await archiveOf(other)
      await other.close()
      return () => at.json('/v2/archives', { method: 'POST', body })
    },
  ],
])('a write that fails on disk is 503 with Retry-After, and can be sent again: %s', async (_, prepare) => {
  const lines: Record<string, unknown>[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  node = await startHttpNode({ logger })
  await postRecords(node, [signedPatch(newKey())])
  const send = await prepare(node)
  fillDisk()
  for (let n = 0; n < 2; n++) {
    const failed = await send()
    expect(failed).toMatchObject({ status: 503, body: { code: 'store_unavailable' } })
    expect(Number(failed.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(failed.body.message).toMatch(/may or may not have stored.*same request again/)
    expect(failed.body.message).not.toMatch(/\/|No space|LEVEL/)
  }
  // Reads go on, and the operator is told why.
  expect((await node.json('/v2/avatars')).body.avatars).toHaveLength(1)
  expect(JSON.stringify(lines)).toContain('No space left on device')
  vi.restoreAllMocks()
  expect((await send()).status).toBeLessThan(300)
})

it("hosting's file that cannot be written is 503 at the operator's routes and the owners' one", async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-hosting-'))
  node = await startHttpNode({ hosting: { mode: 'listed', path: join(folder, 'hosting.log') } })
  const { avatar } = newKey()
  // Every later write to the file fails.
  await node.hosting.journal.close()
  for (const [path, body] of [
    ['hosting', { action: 'add', avatars: [avatar] }],
    ['hosting', { action: 'block', avatars: [avatar], forget: true }],
    ['invites', { count: 1 }],
  ] as const) {
    const failed = await node.json(`/v2/operator/${path}`, { ...post(body), headers: OPERATOR })
    expect(failed).toMatchObject({ status: 503, body: { code: 'store_unavailable' } })
    expect(failed.headers.get('retry-after')).toBe('5')
  }
})
