import { Wallet } from 'ethers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as client from '../../src/client/index.ts'
import * as links from '../../src/links/index.ts'
import * as pageLinks from '../../src/links/browser.ts'
import { blocksOf } from '../docs/blocks.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'

/** What docs/links.md says, run as it is there from top to bottom, against a real node. */
const blocks = blocksOf('docs/links.md').filter(({ language }) => language === 'js')

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

it('imports what the package exports', () => {
  for (const { text } of blocks) {
    for (const [, names = '', from = ''] of text.matchAll(/^import \{ (.*) \} from '(.*)'$/gm)) {
      const exported = from.endsWith('/links') ? { ...links, ...pageLinks } : client
      for (const name of names.split(', ')) expect(Object.keys(exported)).toContain(name)
    }
  }
})

it('does what it says, and asks the wallet as often as it says', async () => {
  const wallet = Wallet.createRandom()
  const { avatar } = client.privateKeySigner(wallet.privateKey)
  let prompts = 0
  const window = {
    ethereum: {
      async request({ method, params = [] }: { method: string; params?: unknown[] }) {
        if (method === 'eth_requestAccounts') return [wallet.address]
        prompts++
        return await wallet.signMessage(Buffer.from(String(params[0]).slice(2), 'hex'))
      },
    },
  }
  const printed: string[] = []
  const expected: RegExp[] = []
  const log = (...values: unknown[]): void => {
    printed.push(values.map((each) => (typeof each === 'string' ? each : show(each))).join(' '))
  }
  // The test of the example runs IndexedDB, in a browser.
  const given = { ...client, ...links, indexedDbKeyStore: links.memoryKeyStore, avatar, window, console: { log } }
  const code = blocks.map(({ text }) => text).join('\n')
  for (const [, told = ''] of code.matchAll(/console\.log.*\n\/\/ (.*)$/gm)) expected.push(patternOf(told))
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (...args: unknown[]) => Promise<void>
  const text = code.replaceAll(/^import .*$/gm, '').replaceAll('http://127.0.0.1:4381', node.url(''))
  await new AsyncFunction(...Object.keys(given), text)(...Object.values(given))
  expect(expected).toHaveLength(4)
  for (const [at, pattern] of expected.entries()) {
    expect(
      printed.some((line) => pattern.test(line)),
      `${blocks[at]?.place}: ${pattern} in ${printed.join('\n')}`,
    ).toBe(true)
  }
  // One for the list, the phone and the bot each, and one to remove the list.
  expect(prompts).toBe(4)
})

function show(value: unknown): string {
  return JSON.stringify(value)?.replaceAll('"', '').replaceAll(':', ': ').replaceAll(',', ', ') ?? String(value)
}

/** `0x…` stands for any key. */
function patternOf(told: string): RegExp {
  const text = told.replaceAll(/([{}]) ?| ?(\})/g, (brace) => brace.trim())
  return new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replace('0x…', '0x[0-9a-f]{66}')}$`)
}
