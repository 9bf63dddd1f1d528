import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeAll, describe, expect, it } from 'vitest'

import { ReceiptError } from '../../src/receipt/errors.ts'
import { publicKeyOfPeerId } from '../../src/receipt/peer-id.ts'
import { parseReceipt, signReceipt, verifyReceipt } from '../../src/receipt/receipt.ts'
import type { Receipt, ReceiptFields } from '../../src/receipt/receipt.ts'

const PAGE = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')
const OTHER_PEER = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

let fields: ReceiptFields
let receipt: Receipt
let publicKey: Uint8Array
beforeAll(async () => {
  const key = await generateKeyPair('Ed25519')
  publicKey = key.publicKey.raw
  fields = {
    avatar: '0x02125f1d96b192e47cea6fd392981b15acf131918f4c53f9ec74783539c9409212',
    digest: 'ab'.repeat(32),
    head: 7,
    id: `0x${'12'.repeat(32)}`,
    network: 'main',
    peer_id: peerIdFromPrivateKey(key).toString(),
    records: 9,
    time: 1_790_000_000,
  }
  receipt = await signReceipt(fields, key)
})

describe('a receipt', () => {
  it('is signed over its canonical JSON behind the domain, byte for byte', () => {
    const { avatar, digest, head, id, network, peer_id, records, time } = fields
    const text =
      `avatar-kv-receipt/2\n{"avatar":"${avatar}","digest":"${digest}","head":${head},"id":"${id}",` +
      `"network":"${network}","peer_id":"${peer_id}","records":${records},"time":${time}}`
    const signature = Buffer.from(receipt.signature.slice(2), 'hex')
    const x = Buffer.from(publicKey).toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    expect(verify(null, Buffer.from(text), key, signature)).toBe(true)
  })

  it('is checked by its peer id alone', () => {
    expect(verifyReceipt(receipt)).toBe(true)
    expect(verifyReceipt(JSON.parse(JSON.stringify(receipt)) as Receipt)).toBe(true)
  })

  it.each<[string, Partial<Receipt>]>([
    ['avatar', { avatar: `0x03${'5f'.repeat(32)}` }],
    ['digest', { digest: 'ac'.repeat(32) }],
    ['head', { head: 8 }],
    ['id', { id: `0x${'13'.repeat(32)}` }],
    ['id', { id: null }],
    ['network', { network: 'test' }],
    ['peer_id', { peer_id: OTHER_PEER }],
    ['peer_id', { peer_id: 'nonsense' }],
    ['records', { records: 10 }],
    ['time', { time: 1_790_000_001 }],
    ['signature', { signature: `0x${'00'.repeat(64)}` }],
    ['signature', { signature: '0x' }],
  ])('with another %s is not signed', (_, change) => {
    expect(verifyReceipt({ ...receipt, ...change })).toBe(false)
  })

  it('has one signature only: s beyond the order is refused', () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const bytes = Buffer.from(receipt.signature.slice(2), 'hex')
    const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + order
    const high = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
    const signature = `0x${Buffer.concat([bytes.subarray(0, 32), high]).toString('hex')}` as const
    expect(verifyReceipt({ ...receipt, signature })).toBe(false)
  })

  it('is read from JSON, without members that are not its own', () => {
    expect(parseReceipt({ ...JSON.parse(JSON.stringify(receipt)), more: 1 })).toEqual(receipt)
    expect(parseReceipt({ ...receipt, head: 0, id: null })).toEqual({ ...receipt, head: 0, id: null })
  })

  it.each<[string, unknown]>([
    ['null', null],
    ['a list', []],
    ['a text', 'receipt'],
    ['no avatar', { avatar: undefined }],
    ['an avatar in upper case', { avatar: `0x02${'AB'.repeat(32)}` }],
    ['a hybrid avatar', { avatar: `0x06${'ab'.repeat(32)}` }],
    ['a network with a line feed', { network: 'main\n' }],
    ['a head below 0', { head: -1 }],
    ['a head of -0', { head: -0 }],
    ['half a head', { head: 1.5 }],
    ['a head beyond what is exact', { head: 2 ** 53 }],
    ['a head as text', { head: '7' }],
    ['head 0 with an id', { head: 0 }],
    ['a head without an id', { id: null }],
    ['a short id', { id: '0x12' }],
    ['a digest with 0x', { digest: `0x${'ab'.repeat(32)}` }],
    ['a peer id of another kind', { peer_id: 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N' }],
    ['a peer id that goes on for ever', { peer_id: '1'.repeat(1000) }],
    ['no signature', { signature: undefined }],
    ['a signature with v', { signature: `0x${'00'.repeat(65)}` }],
    ['no time', { time: null }],
  ])('is refused with %s', (_, wrong) => {
    const isPart = typeof wrong === 'object' && wrong !== null && !Array.isArray(wrong)
    expect(() => parseReceipt(isPart ? { ...receipt, ...wrong } : wrong)).toThrow(ReceiptError)
  })
})

describe('the page on the protocol', () => {
  it('has an example that is right', () => {
    const [, json = '', signature = ''] =
      /\navatar-kv-receipt\/2\n(\{.*\})\nsignature (0x[0-9a-f]{128})\n/.exec(PAGE) ?? []
    const example = parseReceipt({ ...JSON.parse(json), signature })
    expect(verifyReceipt(example)).toBe(true)
    expect(verifyReceipt({ ...example, records: example.records + 1 })).toBe(false)
  })

  it('explains every rule by which receipts contradict each other', () => {
    const source = readFileSync(new URL('../../src/receipt/contradictions.ts', import.meta.url), 'utf8')
    const [, union = ''] = /export type ContradictionRule = (.*)\n/.exec(source) ?? []
    const rules = [...union.matchAll(/'(\w+)'/g)].map(([, rule]) => rule)
    expect(rules).toHaveLength(4)
    expect(rules.filter((rule) => !PAGE.includes(`| \`${rule}\` |`))).toEqual([])
  })
})

describe('a peer id', () => {
  it('gives the public key that it was made of', async () => {
    for (let count = 0; count < 50; count++) {
      const key = await generateKeyPair('Ed25519')
      expect(publicKeyOfPeerId(peerIdFromPrivateKey(key).toString())).toEqual(key.publicKey.raw)
    }
  })

  it.each([
    ['of another alphabet', `${OTHER_PEER.slice(0, -1)}0`],
    ['without its leading 1', OTHER_PEER.slice(1)],
    ['with one more', `1${OTHER_PEER}`],
    ['of secp256k1', '16Uiu2HAm7Mt6sVbqyoJ6NTPDLWvGfdwUbfSN6zyz8AF5EkqRgKrk'],
    ['too large', '2'.repeat(52)],
    ['too small', '1'.repeat(52)],
    ['empty', ''],
  ])('%s is refused', (_, peerId) => {
    expect(() => publicKeyOfPeerId(peerId)).toThrow(ReceiptError)
  })
})
