import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'

import { createNewcomers } from '../../src/hosting/newcomers.ts'
import { createPolicyCommand, type PolicyCommand } from '../../src/hosting/policy-command.ts'
import type { Admission } from '../../src/ingest/admission.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch } from '../http/writer.ts'
import { until } from '../support/until.ts'

/** Answers by the text `mode` of a patch, and for a patch without one allows the avatar. */
const PROGRAM = `
import { createInterface } from 'node:readline'
for await (const line of createInterface({ input: process.stdin })) {
  const { id, avatar, payload, origin, listed } = JSON.parse(line)
  const { mode, reason } = JSON.parse(payload).patch
  if (mode === 'die') process.exit(3)
  if (mode === 'hang') continue
  if (mode === 'nonsense') console.log('hello')
  else if (mode === 'flood') process.stdout.write('x'.repeat(100_000))
  else if (mode === 'facts') console.log(JSON.stringify({ id, allow: false, reason: [avatar, origin, listed].join(' ') }))
  else console.log(JSON.stringify({ id, allow: mode !== 'deny', reason }))
}
`

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (let last = cleanups.pop(); last !== undefined; last = cleanups.pop()) await last()
})

function program(words?: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'avatar-kv-policy-'))
  const file = join(folder, 'policy.mjs')
  writeFileSync(file, PROGRAM)
  const lines: string[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) })
  const metrics = createMetrics()
  const { timers } = systemEnvironment()
  const command = createPolicyCommand({ environment: { timers }, logger, metrics }, words ?? [process.execPath, file])
  command.start()
  cleanups.push(() => {
    command.stop()
    rmSync(folder, { recursive: true })
  })
  return { command, lines, metrics }
}

/** The HTTP interface of a node that asks the program. */
async function nodeAsking(command: PolicyCommand): Promise<HttpNode> {
  let screen: Admission['screen'] = () => undefined
  const node = await startHttpNode({ admission: { screen: (records, from) => screen(records, from) } })
  cleanups.push(() => node.close())
  const isHeld = async (avatar: Parameters<HttpNode['store']['summary']>[0]) =>
    (await node.store.summary(avatar)) !== undefined
  const disk = { refusesNew: () => undefined }
  screen = createNewcomers({ held: { isHeld }, hosting: node.hosting, disk, command }).screen
  return node
}

async function write(node: HttpNode, patch: Record<string, string>, key = newKey()) {
  const { body } = await postRecords(node, [signedPatch(key, { patch })])
  return body.results[0] as { status: string; code?: string; message?: string; retry?: boolean }
}

describe('a program of the operator', () => {
  test('allows and denies new avatars, and says why', async () => {
    const node = await nodeAsking(program().command)
    expect(await write(node, {})).toMatchObject({ status: 'stored' })
    const evil = 'no spam\u001b[2J\u202e'
    expect(await write(node, { mode: 'deny', reason: evil + 'x'.repeat(1_000) })).toMatchObject({
      status: 'refused',
      code: 'policy_denied',
      retry: false,
      message: expect.stringMatching(
        /^The operator of this node does not host this avatar: no spam \[2J x{100,200}\. Ask/,
      ),
    })
    const key = newKey()
    expect((await write(node, { mode: 'facts' }, key)).message).toContain(`${key.avatar} http false`)
    expect(node.store.totals().avatars).toBe(1)
  })

  test('is asked about the first record of an avatar alone; one denied avatar does not stop others', async () => {
    const { command, metrics } = program()
    const node = await nodeAsking(command)
    const [old, fresh, spam] = [newKey(), newKey(), newKey()]
    expect(await write(node, {}, old)).toMatchObject({ status: 'stored' })
    const { body } = await postRecords(node, [
      signedPatch(old, { patch: { mode: 'deny' } }),
      signedPatch(spam, { patch: { mode: 'deny' } }),
      signedPatch(fresh, { patch: { a: 1 } }),
      signedPatch(fresh, { patch: { mode: 'deny' } }),
    ])
    expect(body.results.map(({ status }: { status: string }) => status)).toEqual([
      'stored',
      'refused',
      'stored',
      'stored',
    ])
    const { text } = await metrics.expose()
    expect(text).toMatch(/^avatar_kv_policy_answers_total\{answer="allowed"\} 2$/m)
    expect(text).toMatch(/^avatar_kv_policy_answers_total\{answer="denied"\} 1$/m)
  })

  test.each(['die', 'nonsense', 'flood'])(
    'that fails (%s) is started again; meanwhile only new avatars are refused',
    async (mode) => {
      const { command, lines } = program()
      const node = await nodeAsking(command)
      const old = newKey()
      await write(node, {}, old)
      expect(await write(node, { mode })).toMatchObject({ status: 'refused', code: 'policy_unavailable', retry: true })
      expect(await write(node, { mode: 'die' }, old)).toMatchObject({ status: 'stored' })
      expect(lines[0]).toMatch(/takes no new avatars until it runs again/)
      await until(async () => (await write(node, {})).status === 'stored', 'the program runs again')
      expect(lines.at(-1)).toMatch(/answers again/)
    },
  )

  test('that hangs delays nothing for long, and is replaced after some questions', async () => {
    const { command, lines } = program()
    const node = await nodeAsking(command)
    const answers = await Promise.all(Array.from({ length: 8 }, () => write(node, { mode: 'hang' })))
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(['policy_unavailable']))
    await until(() => lines.length > 0, 'it is replaced')
    expect(lines[0]).toMatch(/ended with SIGKILL/)
  })

  test('that does not exist refuses new avatars, and says so', async () => {
    const { command, lines } = program(['/no/such/program'])
    const node = await nodeAsking(command)
    expect(await write(node, {})).toMatchObject({ code: 'policy_unavailable' })
    await until(() => lines.length > 0, 'the log says so')
    expect(lines[0]).toMatch(/cannot be used: .*ENOENT/)
  })
})

test('what waits is bounded, in all and for one host; another host still gets its answer', async () => {
  const { command } = program()
  const question = (n: number, mode?: string) => ({
    avatar: `0x02${n.toString(16).padStart(64, '0')}` as const,
    payload: JSON.stringify({ patch: { ...(mode === undefined ? {} : { mode }), text: 'x'.repeat(200_000) } }),
    origin: 'sync',
    listed: false,
  })
  const flood = Array.from({ length: 100 }, (_, n) => command.ask(question(n, 'hang'), { key: 'flooder' }))
  let settled = 0
  for (const answer of flood) void answer.then(() => (settled += 1))
  await new Promise((resolve) => setImmediate(resolve))
  // 20 questions of 200 KB are the share of one host, 4 MiB; the others are not sent to the program.
  expect(settled).toBe(80)
  const other = await command.ask(question(1_000), { key: 'other' })
  expect(other).toBeUndefined()
  const codes = await Promise.all(flood)
  expect(codes.every((refusal) => refusal?.code === 'policy_unavailable')).toBe(true)
})
