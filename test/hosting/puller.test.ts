import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { pino } from 'pino'
import { createMetrics } from '../../src/observe/metrics.ts'
import { createPullGuard } from '../../src/hosting/pull-guard.ts'
import { createPuller, type PullImport, type PullLimits } from '../../src/hosting/puller.ts'
import type { Avatar } from '../../src/record/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { until } from '../support/until.ts'
import { openHostingForTest } from './open-hosting.ts'

const avatar = (n: number): Avatar => `0x02${n.toString(16).padStart(64, '0')}`

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function serve(answer: RequestListener): Promise<{ url: string; paths: string[] }> {
  const paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    answer(request, response)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, paths }
}

/** Counts bytes as records. */
const countBytes: PullImport = async ({ chunks, progress }) => {
  const counts = { stored: 0, duplicate: 1, refused: 2 }
  for await (const chunk of chunks) {
    counts.stored += chunk.byteLength
    progress(counts)
  }
  return counts
}

async function pullerOf(limits: Partial<PullLimits> = {}, importArchive: PullImport = countBytes) {
  const hosting = await openHostingForTest({ mode: 'listed' })
  const make = () =>
    createPuller(
      {
        guard: createPullGuard({ allowPrivate: true }),
        importArchive,
        memory: hosting,
        environment: systemEnvironment(),
        logger: pino({ level: 'silent' }),
        metrics: createMetrics(),
      },
      limits,
    )
  return { hosting, puller: make(), make }
}

async function ended(puller: Awaited<ReturnType<typeof pullerOf>>['puller'], each: Avatar) {
  await until(() => Promise.resolve((puller.report(each)?.finished_at ?? null) !== null), 'the pull ends')
  return puller.report(each)
}

test('an archive is asked for by its avatar, and what came of it is told', async () => {
  const { url, paths } = await serve((_, response) => void response.end('x'.repeat(1_000)))
  const { puller, hosting } = await pullerOf()
  expect(puller.report(avatar(1))).toBeUndefined()
  await puller.pull(avatar(1), `${url}/kv/`)
  const counts = { bytes: 1_000, stored: 1_000, duplicate: 1, refused: 2 }
  expect(await ended(puller, avatar(1))).toMatchObject({ state: 'done', from: `${url}/kv/`, ...counts, code: null })
  expect(paths).toEqual([`/kv/v2/archives?avatar=${avatar(1)}`])
  await hosting.settled()
  expect(hosting.pulls()).toEqual([])
})

test('history is asked for where it is wanted', async () => {
  const { url, paths } = await serve((_, response) => void response.end())
  const { puller } = await pullerOf({ history: true })
  await puller.pull(avatar(1), url)
  await ended(puller, avatar(1))
  expect(paths).toEqual([`/v2/archives?avatar=${avatar(1)}&history=true`])
})

test.each<[string, RequestListener, string]>([
  ['that answers 404', (_, response) => void response.writeHead(404).end(), 'bad_answer'],
  ['that hangs up', (request) => void request.socket.destroy(), 'unreachable'],
  [
    'that breaks off',
    (_, response) => void (response.write('x'), setTimeout(() => response.destroy(), 20)),
    'bad_answer',
  ],
  ['that stalls', (_, response) => void response.write('x'), 'unreachable'],
  ['that says nothing', () => undefined, 'unreachable'],
  ['that never ends', (_, response) => void drip(response), 'unreachable'],
  ['that sends too much', (_, response) => void response.end('x'.repeat(20_000)), 'bad_answer'],
])('a host %s: failed, with a reason, and the next one is pulled', async (_, answer, code) => {
  const bad = await serve(answer)
  const good = await serve((_, response) => void response.end('x'))
  const { puller, hosting } = await pullerOf({ atOnce: 1, bytes: 10_000, stallMs: 200, totalMs: 600 })
  await puller.pull(avatar(1), bad.url)
  await puller.pull(avatar(2), good.url)
  expect(puller.report(avatar(2))?.state).toBe('waiting')
  const report = await ended(puller, avatar(1))
  expect(report).toMatchObject({ state: 'failed', code })
  expect(report?.message).toBeTruthy()
  expect((await ended(puller, avatar(2)))?.state).toBe('done')
  await hosting.settled()
  expect(hosting.pulls()).toEqual([])
})

function drip(response: Parameters<RequestListener>[1]): void {
  const timer = setInterval(() => response.write('x'), 50)
  response.once('close', () => clearInterval(timer))
}

test('what keeps an archive from being whole makes the pull fail, with what was taken', async () => {
  const { url } = await serve((_, response) => void response.end('x'))
  const { puller } = await pullerOf({}, async (options) => ({
    ...(await countBytes(options)),
    fault: 'It has no end.',
  }))
  await puller.pull(avatar(1), url)
  const expected = { state: 'failed', code: 'incomplete', message: 'It has no end.', stored: 1 }
  expect(await ended(puller, avatar(1))).toMatchObject(expected)
})

test('only so many wait; one that is under way is not begun twice', async () => {
  const { url, paths } = await serve(() => undefined)
  const { puller } = await pullerOf({ atOnce: 1, waiting: 2 })
  await Promise.all([1, 1, 2, 3].map((n) => puller.pull(avatar(n), url)))
  expect(() => puller.check('http://127.0.0.1:9999')).toThrow(expect.objectContaining({ code: 'hosting_busy' }))
  await until(() => Promise.resolve(paths.length > 0), 'the first is asked')
  expect(paths).toHaveLength(1)
  await puller.stop()
})

test('an owner who names another address is pulled from there: in the place of what waits, and of what goes on', async () => {
  const silent = await serve(() => undefined)
  const good = await serve((_, response) => void response.end('x'))
  const { puller, hosting } = await pullerOf({ atOnce: 1 })
  await puller.pull(avatar(1), silent.url)
  await puller.pull(avatar(2), silent.url)
  await puller.pull(avatar(2), good.url)
  expect(puller.report(avatar(2))).toMatchObject({ state: 'waiting', from: good.url })
  await until(() => Promise.resolve(silent.paths.length === 1), 'the first is asked')
  await puller.pull(avatar(1), good.url)
  await puller.pull(avatar(1), good.url)
  for (const each of [avatar(1), avatar(2)]) {
    await until(() => Promise.resolve(puller.report(each)?.state === 'done'), 'it is pulled')
    expect(puller.report(each)).toMatchObject({ from: good.url, stored: 1, code: null })
  }
  expect([silent.paths.length, good.paths.length]).toEqual([1, 2])
  await hosting.settled()
  expect(hosting.pulls()).toEqual([])
})

test('a host that keeps sending, but too little, holds no place for long', async () => {
  const slow = await serve((_, response) => void drip(response))
  const { puller } = await pullerOf({ stallMs: 200, bytesPerS: 100 })
  await puller.pull(avatar(1), slow.url)
  const message = 'The server sends less than 100 bytes a second.'
  expect(await ended(puller, avatar(1))).toMatchObject({ state: 'failed', code: 'unreachable', message })
  const { puller: patient } = await pullerOf({ stallMs: 200, bytesPerS: 1, totalMs: 1_500 })
  await patient.pull(avatar(1), slow.url)
  expect((await ended(patient, avatar(1)))?.message).toMatch(/^The pull took longer/)
})

test.each<[string, (write: (text: string) => void) => void]>([
  ['says nothing', () => undefined],
  ['sends one line of its head after the other', (write) => write('HTTP/1.1 200 OK\r\n')],
])('a host that %s holds no place until the time for all is over', async (_, begin) => {
  const host = await serve((_, response) => {
    const { socket } = response
    if (socket === null) throw new Error('no socket')
    begin((text) => {
      socket.write(text)
      const timer = setInterval(() => socket.write('x: y\r\n'), 50)
      socket.once('close', () => clearInterval(timer))
    })
  })
  const { puller } = await pullerOf({ stallMs: 200 })
  await puller.pull(avatar(1), host.url)
  const message = 'The server did not answer for 0.2 s.'
  expect(await ended(puller, avatar(1))).toMatchObject({ state: 'failed', code: 'unreachable', message })
})

test('what is asked for while another pull ends is remembered until it has ended itself', async () => {
  let finish: (() => void) | undefined
  const first = await serve((_, response) => {
    response.write('x')
    finish = () => response.end()
  })
  const second = await serve((_, response) => void response.write('x'))
  const { make, hosting } = await pullerOf()
  let release: (() => void) | undefined
  const noted = new Promise<void>((resolve) => (release = resolve))
  const pulling = hosting.pulling.bind(hosting)
  hosting.pulling = async (each, from) => {
    await pulling(each, from)
    if (from === second.url) await noted
  }
  const puller = make()
  await puller.pull(avatar(1), first.url)
  await until(() => Promise.resolve(puller.report(avatar(1))?.bytes === 1), 'the first comes')
  const asked = puller.pull(avatar(1), second.url)
  finish?.()
  await until(
    () => Promise.resolve(puller.report(avatar(1))?.state !== 'pulling' || second.paths.length === 1),
    'the first has ended',
  )
  release?.()
  await asked
  await until(() => Promise.resolve(second.paths.length === 1), 'the second is asked')
  await puller.stop()
  await hosting.settled()
  expect(hosting.pulls()).toMatchObject([{ from: second.url }])
})

test('what the end of the process cuts short goes on at the next start', async () => {
  let isReady = false
  const { url } = await serve((_, response) => void (isReady ? response.end('abc') : response.write('a')))
  const { puller, make, hosting } = await pullerOf({ atOnce: 1 })
  await puller.pull(avatar(1), url)
  await puller.pull(avatar(2), url)
  await until(() => Promise.resolve((puller.report(avatar(1))?.stored ?? 0) > 0), 'something has come')
  await puller.stop()
  expect(hosting.pulls()).toHaveLength(2)
  isReady = true
  const next = make()
  next.resume()
  expect(await ended(next, avatar(1))).toMatchObject({ state: 'done', stored: 3 })
  expect(await ended(next, avatar(2))).toMatchObject({ state: 'done', stored: 3 })
  await hosting.settled()
  expect(hosting.pulls()).toEqual([])
})
