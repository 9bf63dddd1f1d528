import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

import { signReceipt } from '../../src/receipt/receipt.ts'
import { testKey } from '../oracle/signing.ts'
import { run } from './run.ts'

test('receipt --check finds the contradiction in what receipt --json has printed', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-receipts-'))
  const key = await generateKeyPair('Ed25519')
  const sign = (head: number, time: number) => {
    const digest = `${head}${head}`.repeat(32)
    const fields = {
      avatar: testKey(1).avatar,
      network: 'main',
      records: 1,
      peer_id: peerIdFromPrivateKey(key).toString(),
    }
    return signReceipt({ ...fields, digest, head, id: `0x${digest}`, time }, key)
  }
  const [first, last] = [await sign(9, 1_000), await sign(5, 1_001)]
  const contradictions = [{ rule: 'place_fell', receipts: [first, last], samePeer: true }]
  writeFileSync(join(cwd, 'report'), JSON.stringify({ hosts: [{ receipt: last }, { receipt: null }], contradictions }))
  const { code, out } = await run(['receipt', '--check', 'report', '--json'], { cwd })
  expect([code, JSON.parse(out)]).toMatchObject([1, { receipts: 2, bad: [], contradictions: [{ rule: 'place_fell' }] }])
  rmSync(cwd, { recursive: true })
})
