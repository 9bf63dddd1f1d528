import { createRequire } from 'node:module'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordDigest } from '../../src/record/id.ts'
import { parseSecretKey } from '../../src/record/keys.ts'
import { writeBody } from '../support/api.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { createOwner } from './snapshot-owner.ts'
import type { Owner } from './snapshot-owner.ts'

interface Bindings {
  ecdsaSign(digest: Uint8Array, secretKey: Uint8Array): { signature: Uint8Array; recid: number }
}
const bindings = createRequire(import.meta.url)('secp256k1/bindings.js') as Bindings

interface Unsigned {
  records: { payload: string; id: string; signature: string }[]
}

let cluster: Cluster
let node: NodeProcess
const owners: Owner[] = []
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('node')
})
afterAll(async () => {
  for (const owner of owners) owner.close()
  await cluster.close()
})

function owner(name: string): Owner {
  const made = createOwner(`signed ${name}`, () => node.url)
  owners.push(made)
  return made
}

/** Signs the payloads of a file as a wallet does: personal_sign, 65 bytes with v 27 or 28. */
function signFile(who: Owner, file: string): Unsigned {
  const path = join(who.cwd, file)
  const secretKey = parseSecretKey(readFileSync(join(who.cwd, 'avatar.key'), 'utf8'))
  const { records } = JSON.parse(readFileSync(path, 'utf8')) as Unsigned
  for (const record of records) {
    const digest = recordDigest(Buffer.from(record.payload))
    expect(`0x${Buffer.from(digest).toString('hex')}`).toBe(record.id)
    const { signature, recid } = bindings.ecdsaSign(digest, secretKey)
    record.signature = `0x${Buffer.from(signature).toString('hex')}${(27 + recid).toString(16)}`
  }
  writeFileSync(path, JSON.stringify({ records }))
  return { records }
}

describe('put --signed', () => {
  test('takes what a wallet signed, in any of three forms', async () => {
    const who = owner('forms')
    const [first, second, third] = [who.write({ a: 1 }), who.write({ b: 2 }), who.write({ c: 3 })]
    writeFileSync(join(who.cwd, 'records.json'), writeBody([first]))
    expect(await who.run(['put', '--signed', 'records.json'])).toMatchObject({ code: 0, out: 'stored: 1 record\n' })
    const { records } = JSON.parse(writeBody([second, third])) as { records: object[] }
    const lines = `${records.map((record) => JSON.stringify(record)).join('\n')}\n`
    expect(await who.json(['put', '--signed', '-'], lines)).toMatchObject({
      results: [
        { id: second.id, status: 'stored' },
        { id: third.id, status: 'stored' },
      ],
    })
    expect((await who.run(['put', '--signed', '-'], JSON.stringify(records[0]))).out).toBe('duplicate: 1 record\n')
    expect((await node.api.avatar(who.avatar))?.head).toBe(3)
  })

  test('a payload written out by put --unsigned, signed elsewhere, is taken', async () => {
    const who = owner('wallet')
    const written = await who.run(['put', '{"from":"a wallet"}', '--unsigned', 'sign.json', '--avatar', who.avatar])
    expect(written).toMatchObject({ code: 0, err: '' })
    expect(written.out).toContain('avatar-kv put --signed sign.json')
    expect(statSync(join(who.cwd, 'sign.json')).mode & 0o777).toBe(0o600)
    expect(await node.api.avatar(who.avatar)).toBeUndefined()

    const unsigned = await who.run(['put', '--signed', 'sign.json'])
    expect(unsigned).toMatchObject({ code: 1, out: '' })
    expect(unsigned.err).toContain('Record 1 of sign.json is not signed yet; nothing was sent.')
    // The file may hold signatures by now, and is not overwritten.
    const over = await who.run(['put', '{}', '--unsigned', 'sign.json', '--avatar', who.avatar])
    expect(over).toMatchObject({ code: 1 })
    expect(over.err).toContain('exists already')

    signFile(who, 'sign.json')
    expect(await who.run(['put', '--signed', 'sign.json'])).toMatchObject({ code: 0 })
    expect((await node.api.avatar(who.avatar))?.namespaces[0]?.content).toEqual({ from: 'a wallet' })
  })

  test('one bad record, and none is sent', async () => {
    const who = owner('bad')
    const good = who.write({ a: 1 })
    const { records } = JSON.parse(writeBody([good, who.write({ b: 2 })])) as Unsigned
    const [first, second] = [records[0]!, records[1]!]
    const cases: [string, string][] = [
      [
        JSON.stringify({ records: [first, { ...second, payload: second.payload.replace('"b":2', '"b":3') }] }),
        'Record 2',
      ],
      [JSON.stringify([first, { ...second, signature: first.signature }]), 'Record 2 is not valid'],
      [JSON.stringify([first, { ...second, signature: '0x1234' }]), 'Record 2 is not valid'],
      [JSON.stringify([first, { ...second, id: first.id ?? good.id }]), 'Record 2 is not valid: its id is'],
      [`${JSON.stringify(first)}\n{broken`, 'Cannot read line 2 of standard input as JSON'],
      [JSON.stringify({ format: 'avatar-kv-archive/2' }), 'avatar-kv import'],
      ['{"records":[]}', 'no record'],
      ['', 'no record'],
    ]
    for (const [input, words] of cases) {
      const { code, out, err } = await who.run(['put', '--signed', '-'], input)
      expect(code).not.toBe(0)
      expect(out).toBe('')
      expect(err).toContain(words)
    }
    expect(await node.api.avatar(who.avatar)).toBeUndefined()
  })

  test('what the node refuses is said, with exit code 1', async () => {
    const who = owner('refused')
    const other = await cluster.start('other network', { network: 'other' })
    const body = writeBody([who.write({ a: 1 })])
    const wrong = await who.run(['put', '--signed', '-', '--node', other.url], body)
    expect(wrong).toMatchObject({ code: 1, out: '' })
    expect(wrong.err).toContain('network')
    const both = await who.run(['put', '{}', '--signed', 'x.json'])
    expect(both.code).toBe(2)
    expect((await who.run(['put', '{}', '--unsigned', 'x.json'])).code).toBe(2)
    expect((await who.run(['put', '{}', '--avatar', who.avatar])).code).toBe(2)
  })
})
