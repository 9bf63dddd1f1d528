import { HDNodeWallet, Wallet } from 'ethers'
import { createWalletClient, custom, hexToString } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { mainnet } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { addressOf, walletSigner, type Eip1193Provider } from '../../src/client/wallet-signer.ts'
import { avatarOf, parseSecretKey } from '../../src/record/keys.ts'
import { decodePayload } from '../../src/record/payload.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'

let node: HttpNode
beforeAll(async () => void (node = await startHttpNode()))
afterAll(async () => await node.close())

/** A wallet as a page sees it: EIP-1193 over a key, whatever library signs. */
function provider(
  address: string,
  signMessage: (text: string) => Promise<string>,
  asked: string[] = [],
): Eip1193Provider {
  return {
    async request({ method, params = [] }) {
      if (method === 'eth_requestAccounts') return [address]
      if (method !== 'personal_sign') throw Object.assign(new Error(`no ${method}`), { code: 4200 })
      const [hex, account] = params as [`0x${string}`, string]
      if (account !== address) throw new Error('another account')
      asked.push(hexToString(hex))
      return await signMessage(hexToString(hex))
    },
  }
}

const write = { patch: { 'com.example.app': { grüße: '👋 \u0001"\\', n: 1.5 } } }

describe('a wallet that was not made for this', () => {
  it.each([
    ['of ethers', () => Wallet.createRandom()],
    ['of ethers, from a seed', () => HDNodeWallet.createRandom()],
  ])('%s signs a record that a node takes', async (_, create) => {
    const wallet = create()
    const asked: string[] = []
    const signer = await walletSigner(provider(wallet.address, (text) => wallet.signMessage(text), asked))
    expect(signer.avatar).toBe(avatarOf(parseSecretKey(wallet.privateKey)))
    const client = createClient({ nodes: [node.url('')] })
    expect(await client.put({ signer, ...write })).toMatchObject({ status: 'stored' })
    expect(await client.getVerified(signer.avatar)).toMatchObject({
      state: 'verified',
      namespaces: [{ content: write.patch }],
    })
    expect(asked).toHaveLength(2)
  })

  it('of viem signs a record that a node takes', async () => {
    const key = generatePrivateKey()
    const account = privateKeyToAccount(key)
    const behind = provider(account.address, (message) => account.signMessage({ message }))
    // Through viem's own transport, as an app with viem has its wallet.
    const wallet = createWalletClient({ account: account.address, chain: mainnet, transport: custom(behind) })
    const signer = await walletSigner(wallet)
    expect(signer.avatar).toBe(avatarOf(parseSecretKey(key)))
    const client = createClient({ nodes: [node.url('')] })
    expect(await client.put({ signer, ...write })).toMatchObject({ status: 'stored' })
  })
})

describe('walletSigner', () => {
  const key = newKey()
  const wallet = new Wallet(`0x${Buffer.from(key).toString('hex')}`)
  const good = (text: string): Promise<string> => wallet.signMessage(text)

  it('takes v as 0 or 1, and the avatar where it is known', async () => {
    const asked: string[] = []
    const low = provider(
      wallet.address,
      async (text) => (await good(text)).replace(/1b$/, '00').replace(/1c$/, '01'),
      asked,
    )
    expect((await walletSigner(low)).avatar).toBe(avatarOf(key))
    const known = await walletSigner(low, { avatar: avatarOf(key), address: wallet.address.toLowerCase() })
    expect([known.avatar, asked.length]).toEqual([avatarOf(key), 1])
    const client = createClient({ nodes: [node.url('')] })
    expect(await client.put({ signer: known, patch: { v: 0 } })).toMatchObject({ status: 'stored' })
  })

  it('asks for a signature over a text that can be no record', async () => {
    const asked: string[] = []
    await walletSigner(provider(wallet.address, good, asked))
    expect(asked[0]).toMatch(/^avatar-kv: show my public key\./)
    expect(() => decodePayload(new TextEncoder().encode(asked[0]), 'main')).toThrow('not JSON')
  })

  it('tells who said no, and what is wrong', async () => {
    const code = (code: number) => async (): Promise<string> => {
      throw Object.assign(new Error('User rejected the request.'), { code })
    }
    await expect(walletSigner(provider(wallet.address, code(4001)))).rejects.toMatchObject({ code: 'rejected' })
    await expect(walletSigner(provider(wallet.address, code(-32603)))).rejects.toMatchObject({ code: 'wallet' })
    await expect(
      walletSigner(provider(wallet.address, good), { address: `0x${'1'.repeat(40)}` }),
    ).rejects.toMatchObject({ code: 'wallet' })
    const others = provider(wallet.address, (text) => Wallet.createRandom().signMessage(text))
    await expect(walletSigner(others)).rejects.toMatchObject({ code: 'bad_signature' })
    const contract = provider(wallet.address, async () => `0x${'00'.repeat(200)}`)
    await expect(walletSigner(contract)).rejects.toMatchObject({ code: 'bad_signature' })
    const stranger = privateKeySigner(newKey()).avatar
    await expect(walletSigner(provider(wallet.address, good), { avatar: stranger })).rejects.toMatchObject({
      code: 'bad_signature',
    })
    await expect(walletSigner({ request: async () => ({}) })).rejects.toMatchObject({ code: 'wallet' })
  })

  it('asks no wallet where the avatar that it is given is none', async () => {
    let asked = 0
    const request = async (): Promise<string[]> => [wallet.address].slice(0, ++asked)
    await expect(walletSigner({ request }, { avatar: 'garbage' })).rejects.toMatchObject({
      name: 'ClientError',
      code: 'usage',
      nodeCode: 'invalid_avatar',
    })
    expect(asked).toBe(0)
  })

  it('writes nothing where the person declines the write itself', async () => {
    let count = 0
    const moody = provider(wallet.address, async (text) => {
      if (++count > 1) throw Object.assign(new Error('no'), { code: 4001 })
      return await good(text)
    })
    const signer = await walletSigner(moody)
    const client = createClient({ nodes: [node.url('')] })
    const before = await client.getVerified(signer.avatar)
    await expect(client.put({ signer, patch: { x: 1 } })).rejects.toMatchObject({ code: 'rejected' })
    expect((await client.getVerified(signer.avatar)).digest).toBe(before.digest)
  })

  it('knows the address of an avatar', () => {
    expect(addressOf(avatarOf(key))).toBe(wallet.address.toLowerCase())
  })
})

it.each([
  ['hex', 'abc'],
  ['bytes', new Uint8Array(32)],
])('privateKeySigner tells of %s that are no key', (_, key) => {
  expect(() => privateKeySigner(key)).toThrow(
    expect.objectContaining({ name: 'ClientError', code: 'usage', nodeCode: 'invalid_secret_key' }),
  )
})
