import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { Receipt } from '../../src/receipt/receipt.ts'
import type { JsonObject } from '../../src/record/types.ts'
import { run } from '../cli/run.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { settled, statuses } from '../support/settle.ts'
import { cite, createWriter } from '../support/writer.ts'
import { until } from '../support/until.ts'

let cluster: Cluster
let cwd: string
/** They do not know each other until the last test. */
let one: NodeProcess
let two: NodeProcess
const servers: Server[] = []

beforeAll(async () => {
  cluster = await createCluster()
  cwd = await mkdtemp(join(tmpdir(), 'avatar-kv-receipts-'))
  ;[one, two] = await Promise.all([cluster.start('one'), cluster.start('two')])
})

afterAll(async () => {
  for (const server of servers) server.close()
  await cluster.close()
  await rm(cwd, { recursive: true })
})

const receipt = (...args: string[]) => run(['receipt', ...args], { cwd })

async function compared(avatar: string, ...urls: string[]) {
  const outcome = await receipt(avatar, '--json', ...urls.flatMap((url) => ['--node', url]))
  const report = JSON.parse(outcome.out) as {
    verdict: string
    head: number
    hosts: {
      node: string
      state: string
      lacks: { total: number; ids: string[] }
      problems: string[]
      receipt: Receipt
    }[]
    contradictions: { rule: string }[]
  }
  return { ...outcome, report, states: report.hosts.map(({ state }) => state) }
}

/** A host before a node that changes what the node answers, as someone on the way could. */
async function between(node: NodeProcess, change: (path: string, answer: JsonObject) => JsonObject): Promise<string> {
  const server = createServer((request: IncomingMessage, response) => {
    void (async () => {
      const answer = await fetch(`${node.url}${request.url}`)
      const body = (await answer.json()) as JsonObject
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer.ok ? change(request.url ?? '', body) : body))
    })()
  })
  servers.push(server)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('hosts that hold the same are equal, and the text says so', async () => {
  const writer = createWriter('receipts equal')
  const records = [writer.write({ a: 1 }), writer.write({ a: 2 })]
  for (const node of [one, two]) expect(statuses(await node.api.write(records))).toEqual(['stored', 'stored'])
  const { code, states, report } = await compared(writer.avatar, one.url, two.url)
  expect([code, states, report.verdict, report.head]).toEqual([0, ['equal', 'equal'], 'equal', 2])
  const text = await receipt(writer.avatar, '--node', one.url, '--node', two.url)
  expect(text.out).toContain('verdict  equal')
  expect(text.out).toContain((await one.api.status()).peer_id)
})

test('a host that lacks records is behind, by which is told', async () => {
  const writer = createWriter('receipts behind')
  const records = Array.from({ length: 5 }, (_, index) => writer.write({ index }))
  await one.api.write(records)
  await two.api.write(records.slice(0, 3))
  const { code, states, report } = await compared(writer.avatar, one.url, two.url)
  expect([code, states, report.verdict]).toEqual([0, ['equal', 'behind'], 'behind'])
  expect(report.hosts[1]!.lacks).toEqual({ total: 2, ids: records.slice(3).map(({ id }) => id) })
  const text = await receipt(writer.avatar, '--node', one.url, '--node', two.url)
  expect(text.out).toContain(`${two.url} lacks 2 records that others have; its head is 3 of 5.`)
})

test('two that each lack something have split; once they meet they are equal', async () => {
  const writer = createWriter('receipts split')
  const first = writer.write({ both: true })
  const left = writer.write({ left: true }, { prev: cite(first) })
  const right = writer.write({ right: true }, { prev: cite(first) })
  await one.api.write([first, left])
  await two.api.write([first, right])
  const { code, states, report } = await compared(writer.avatar, one.url, two.url)
  expect([code, states, report.verdict]).toEqual([0, ['behind', 'behind'], 'split'])
  expect(report.hosts.map(({ lacks }) => lacks.ids)).toEqual([[right.id], [left.id]])
  await one.api.write([right])
  await two.api.write([left])
  expect((await compared(writer.avatar, one.url, two.url)).report.verdict).toBe('equal')
})

test('a host whose records are held back on the way contradicts what it signed', async () => {
  const writer = createWriter('receipts withheld')
  const records = Array.from({ length: 4 }, (_, index) => writer.write({ index }))
  await one.api.write(records)
  await two.api.write(records.slice(0, 2))
  const withholding = await between(one, (path, answer) =>
    path.includes('/records')
      ? { ...answer, records: (answer['records'] as JsonObject[]).filter(({ id }) => id !== records[3]!.id) }
      : answer,
  )
  const { code, states, report, err } = await compared(writer.avatar, withholding, two.url)
  expect([code, states, report.verdict]).toEqual([1, ['contradictory', 'behind'], 'contradictory'])
  expect(report.hosts[0]!.problems[0]).toContain('withholds records')
  expect(err).toContain('1 host of 2 gave no sound receipt')
})

test('receipts that were altered, are old or of another avatar are not taken', async () => {
  const writer = createWriter('receipts forged')
  const other = createWriter('receipts of another')
  await one.api.write([writer.write({ a: 1 }), other.write({ b: 1 })])
  const foreign = (await (await fetch(`${one.url}/v2/avatars/${other.avatar}/receipt`)).json()) as JsonObject
  const isReceipt = (path: string) => path.endsWith('/receipt')
  const forging = await between(one, (path, answer) => (isReceipt(path) ? { ...answer, head: 9 } : answer))
  const mixing = await between(one, (path, answer) => (isReceipt(path) ? foreign : answer))
  const silent = 'http://127.0.0.1:1'
  const { code, report, states } = await compared(writer.avatar, one.url, forging, mixing, silent)
  expect([code, states, report.verdict]).toEqual([1, ['equal', 'failed', 'failed', 'failed'], 'equal'])
  const problems = report.hosts.map((host) => host.problems.join())
  expect(problems[1]).toContain('not signed by the peer')
  expect(problems[2]).toContain('for another avatar')
  expect(problems[3]).toContain('Cannot reach')
  const stranger = createWriter('receipts of nobody').avatar
  expect((await compared(stranger, one.url)).report.hosts[0]!.problems).toEqual(['it has no records of this avatar'])
})

test('a host that denies what it signed is shown up by its own receipts, without any node', async () => {
  const writer = createWriter('receipts denied')
  const first = writer.write({ a: 1 })
  await one.api.write([first])
  const file = 'receipts.ndjson'
  for (const next of [1, 2]) {
    expect((await receipt(writer.avatar, '--node', one.url, '--out', file)).code).toBe(0)
    await one.api.write([writer.write({ next })])
    // Receipts of one second have no order.
    const second = Math.floor(Date.now() / 1_000)
    await until(() => Date.now() / 1_000 >= second + 1, 'the next second begins')
  }
  const honest = await receipt('--check', file)
  expect(honest).toMatchObject({ code: 0 })
  expect(honest.out).toContain('2 receipts, no contradiction.')

  // The node loses its data and gets only the first record again, under the key that it had.
  const [kept] = (await readFile(join(cwd, file), 'utf8')).split('\n')
  const held = await one.api.avatar(writer.avatar)
  expect(held?.head).toBe(3)
  const before = JSON.parse(kept ?? '') as Receipt
  await one.stop()
  await rm(join(one.dataDir, 'store'), { recursive: true })
  await rm(join(one.dataDir, 'store.mark.json'))
  await one.restart()
  await one.api.write([first])
  expect((await receipt(writer.avatar, '--node', one.url, '--out', file)).code).toBe(0)

  const shown = await receipt('--check', file)
  expect(shown.code).toBe(1)
  expect(shown.out).toContain(`Peer ${before.peer_id} contradicts itself over ${writer.avatar}`)
  const { contradictions, sound } = JSON.parse((await receipt('--check', file, '--json')).out) as {
    contradictions: { rule: string; receipts: Receipt[] }[]
    sound: number
  }
  expect(sound).toBe(3)
  expect(contradictions.map(({ rule }) => rule)).toEqual(['place_fell', 'state_returned'])
  expect(contradictions[0]!.receipts.map(({ head }) => head)).toEqual([2, 1])

  const lines = (await readFile(join(cwd, file), 'utf8')).trim().split('\n')
  await writeFile(join(cwd, 'forged.json'), JSON.stringify([{ ...JSON.parse(lines[0]!), head: 8 }, { no: 'receipt' }]))
  const forged = await receipt('--check', 'forged.json')
  expect(forged.code).toBe(1)
  expect(forged.out).toContain('Receipt 1 in forged.json is not genuine')
  expect(forged.out).toContain('Receipt 2 in forged.json is not genuine: The receipt is invalid')
})

test('files that hold no receipts, and wrong usage, are told', async () => {
  await writeFile(join(cwd, 'text.txt'), 'not\njson')
  expect((await receipt('--check', 'text.txt')).err).toContain('Line 1 of text.txt is not JSON')
  expect((await receipt('--check', 'nowhere')).err).toContain(
    'Cannot read receipts from nowhere: there is no such file',
  )
  await writeFile(join(cwd, 'empty'), '\n')
  expect((await receipt('--check', 'empty')).err).toContain('empty holds no receipts')
  expect((await receipt()).code).toBe(2)
  expect((await receipt(createWriter('x').avatar, '--check', 'empty')).code).toBe(2)
})

test('while writers move the avatar, synced hosts are told apart from liars', async () => {
  const three = await cluster.start('three', { peers: [two.address], syncIntervalSeconds: 1 })
  const writer = createWriter('receipts moving')
  await two.api.write([writer.write({ begin: true })])
  await settled([two, three], writer.avatar, ({ head }) => head === 1, 'the first patch')
  let writing = true
  const writes = (async () => {
    while (writing) await two.api.write([writer.write({ more: true })])
  })()
  for (let round = 0; round < 5; round++) {
    const { report, states } = await compared(writer.avatar, two.url, three.url)
    expect(states).not.toContain('contradictory')
    expect(['equal', 'behind', null]).toContain(report.verdict)
    expect(report.contradictions).toEqual([])
  }
  writing = false
  await writes
  const { head } = (await two.api.avatar(writer.avatar))!
  await settled([two, three], writer.avatar, (answer) => answer.head === head, 'all patches')
  expect((await compared(writer.avatar, two.url, three.url)).report.verdict).toBe('equal')
})
