import * as fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Wallet } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as browser from '../../src/replica/browser.ts'
import * as api from '../../src/replica/index.ts'
import { newKey } from '../support/keys.ts'
import { blocksOf, readPage } from '../docs/blocks.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'

/** What docs/replica.md says, run as it is there, against a real node. */
const page = readPage('docs/replica.md')
const blocks = blocksOf('docs/replica.md')
  .filter(({ language }) => language === 'js')
  .map(({ text }) => text)

let node: HttpNode
let folder: string
let replica: api.Replica
const open: api.Replica[] = []
const signer = api.privateKeySigner(newKey())
const wallet = Wallet.createRandom()
beforeAll(async () => {
  node = await startHttpNode()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-replica-'))
  replica = await openHere({ location: join(folder, 'given'), avatars: [signer.avatar] })
  await replica.put({ signer, patch: { a: 1 } })
})
afterAll(async () => {
  await Promise.all(open.map((each) => each.close()))
  await node.close()
  await rm(folder, { recursive: true })
})

async function openHere(options: api.ReplicaOptions): Promise<api.Replica> {
  const { location = '' } = options
  const opened = await api.openReplica({
    ...options,
    location: location.startsWith('/') ? location : join(folder, location),
  })
  open.push(opened)
  return opened
}

/** Runs a block with what it takes for granted; gives back what it printed and showed. */
async function run(code: string): Promise<unknown[][]> {
  const printed: unknown[][] = []
  const log = (...texts: unknown[]): void => void printed.push(structuredClone(texts))
  const given: Record<string, unknown> = {
    ...api,
    openReplica: openHere,
    pipeline,
    createWriteStream: (name: string) => fs.createWriteStream(join(folder, name)),
    createReadStream: (name: string) => fs.createReadStream(join(folder, name)),
    console: { log },
    confirm: () => true,
    show: log,
    window: {
      ethereum: {
        request: async ({ method, params = [] }: { method: string; params?: unknown[] }) =>
          method === 'eth_requestAccounts'
            ? [wallet.address]
            : await wallet.signMessage(Buffer.from(String(params[0]).slice(2), 'hex')),
      },
    },
    replica,
    signer,
    avatar: signer.avatar,
  }
  const declares = (name: string): boolean => new RegExp(`^(const|let) ${name} =`, 'm').test(code)
  const names = Object.keys(given).filter((name) => !declares(name) && /^[a-z]\w*$/i.test(name))
  const text = code.replaceAll(/^import .*$/gm, '').replaceAll('http://127.0.0.1:4381', node.url(''))
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (...args: unknown[]) => Promise<void>
  await new AsyncFunction(...names, text)(...names.map((name) => given[name]))
  return printed
}

describe('the page on the replica', () => {
  it('has its programs where they are expected', () => {
    expect(blocks).toHaveLength(4)
    for (const block of blocks) {
      for (const [, names] of block.matchAll(/^import \{ (.*) \} from 'avatar-kv\/replica'$/gm)) {
        for (const name of names?.split(', ') ?? []) expect(Object.keys(api)).toContain(name)
      }
    }
    expect(Object.keys(browser).sort()).toEqual(Object.keys(api).sort())
  })

  it.each(blocks.map((block, at) => [`program ${at + 1}`, block]))('%s runs as it is', async (_, block) => {
    const printed = await run(block)
    if (block.includes("'replica-data'")) {
      expect(printed).toEqual([[{ 'com.example.app': { colour: 'green' } }, 1], [0]])
      expect(block).toContain("// { 'com.example.app': { colour: 'green' } } 1")
    }
    if (block.includes("'my-app'")) expect(printed.at(-1)?.[0]).toEqual({ greeting: 'hello' })
    if (block.includes('pipeline')) expect(printed).toEqual([[1, 0, 'good']])
  })

  it('explains every code of an error, and every event', () => {
    const read = (name: string): string =>
      fs.readFileSync(new URL(`../../src/replica/${name}`, import.meta.url), 'utf8')
    const codes = [...read('errors.ts').matchAll(/^ {2}\| '(\w+)'$/gm)].map(([, code]) => code)
    expect(codes.length).toBeGreaterThan(8)
    expect(codes.filter((code) => !new RegExp(`^\\| .*\`${code}\`.* \\|`, 'm').test(page))).toEqual([])
    const [, events = ''] = /export type ReplicaEvent =([^]*?)\n\n/.exec(read('types.ts')) ?? []
    const types = [...events.matchAll(/type: ([^\n;]*)/g)].flatMap(([, names]) =>
      [...(names ?? '').matchAll(/'(\w+)'/g)].map(([, name]) => name),
    )
    expect(types.length).toBeGreaterThan(8)
    expect(types.filter((type) => !page.includes(`\`${type}\``))).toEqual([])
  })
})
