import { readFileSync } from 'node:fs'
import { Wallet } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as api from '../../src/client/index.ts'
import { blocksOf, readPage } from '../docs/blocks.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'

/** What docs/client.md says, run as it is there, against real nodes. */
const page = readPage('docs/client.md')
const blocks = blocksOf('docs/client.md')
  .filter(({ language }) => language === 'js')
  .map(({ text }) => text)

let node: HttpNode
let second: HttpNode
const wallet = Wallet.createRandom()
const signer = api.privateKeySigner(newKey())
beforeAll(async () => {
  node = await startHttpNode()
  second = await startHttpNode()
  const client = api.createClient({ nodes: [node.url(''), second.url('')] })
  await client.put({ signer, patch: { 'com.example.app': { colour: 'green' } } }, { to: 'all' })
})
afterAll(async () => {
  await node.close()
  await second.close()
})

const window = {
  ethereum: {
    request: async ({ method, params = [] }: { method: string; params?: unknown[] }) =>
      method === 'eth_requestAccounts'
        ? [wallet.address]
        : await wallet.signMessage(Buffer.from(String(params[0]).slice(2), 'hex')),
  },
}

/** Runs a block with what it takes for granted; gives back what it printed. */
async function run(code: string): Promise<unknown[][]> {
  const printed: unknown[][] = []
  const log = (...texts: unknown[]): void => void printed.push(texts)
  const stop = new AbortController()
  const given: Record<string, unknown> = {
    ...api,
    window,
    wallet,
    console: { log, warn: log },
    stop,
    show: (...shown: unknown[]) => {
      log(...shown)
      stop.abort()
    },
    showStatus: () => {},
  }
  const imports = /^import .*$/gm
  const declares = (name: string): boolean => new RegExp(`^(const|let) ${name} =`, 'm').test(code)
  if (!declares('client')) given['client'] = api.createClient({ nodes: [node.url('')] })
  if (!declares('signer')) given['signer'] = signer
  if (!declares('avatar')) given['avatar'] = signer.avatar
  const names = Object.keys(given).filter((name) => name === 'stop' || !declares(name))
  const text = code
    .replaceAll(imports, '')
    // Whoever runs it wants to end it.
    .replaceAll(/^const stop = .*$/gm, '')
    .replaceAll('http://127.0.0.1:4381', node.url(''))
    .replaceAll('http://127.0.0.1:4391', second.url(''))
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (...args: unknown[]) => Promise<void>
  await new AsyncFunction(...names, text)(...names.map((name) => given[name]))
  return printed
}

describe('the page on the client', () => {
  it('has its programs where they are expected', () => {
    expect(blocks.map((block) => block.split('\n')[0])).toHaveLength(8)
    for (const block of blocks) {
      for (const [, names] of block.matchAll(/^import \{ (.*) \} from 'avatar-kv\/client'$/gm)) {
        for (const name of names?.split(', ') ?? []) expect(Object.keys(api)).toContain(name)
      }
    }
  })

  it.each(blocks.map((block, at) => [`program ${at + 1}`, block]))('%s runs as it is', async (_, block) => {
    const printed = await run(block)
    const [, told] = /^console\.log.*\n\/\/ (.*)$/m.exec(block) ?? []
    if (told !== undefined) {
      expect(printed).toEqual([['verified', { 'com.example.app': { colour: 'green', size: 3 } }]])
      expect(told).toBe("verified { 'com.example.app': { colour: 'green', size: 3 } }")
    }
    if (block.includes('console.warn')) expect(printed).toEqual([])
    if (block.includes('provenance')) expect(printed).toMatchObject([[expect.stringMatching(/^0x[0-9a-f]{64}, 20/)]])
    if (block.includes('client.watch')) expect(printed).toMatchObject([[{ state: 'verified' }]])
  })

  it('explains every code of an error', () => {
    const source = readFileSync(new URL('../../src/client/errors.ts', import.meta.url), 'utf8')
    const codes = [...source.matchAll(/^ {2}\| '(\w+)'$/gm)].map(([, code]) => code)
    expect(codes.length).toBeGreaterThan(8)
    expect(codes.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([])
  })
})
