import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { loadPeerKey } from '../../src/network/peer-key.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'avatar-kv-peer-key-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('the key is made once, readable by its owner alone, and then kept', async () => {
  const dataDir = join(directory, 'a', 'data')
  const key = await loadPeerKey(dataDir)
  expect(key.type).toBe('Ed25519')
  expect(await readdir(dataDir)).toEqual(['peer.key'])
  expect((await stat(join(dataDir, 'peer.key'))).mode & 0o777).toBe(0o600)
  expect((await loadPeerKey(dataDir)).equals(key)).toBe(true)
})

test('two that start at once get the same key', async () => {
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadPeerKey(directory)))
  expect(new Set(keys.map((key) => key.publicKey.toString())).size).toBe(1)
  expect(await readdir(directory)).toEqual(['peer.key'])
})

test.each([
  ['empty', async () => new Uint8Array(0)],
  ['cut short', async () => privateKeyToProtobuf(await generateKeyPair('Ed25519')).subarray(0, 40)],
  ['text', async () => new TextEncoder().encode('-----BEGIN PRIVATE KEY-----')],
  ['of another kind', async () => privateKeyToProtobuf(await generateKeyPair('secp256k1'))],
])('a key file that is %s is refused and left as it is', async (_, make) => {
  const bytes = await make()
  const path = join(directory, 'peer.key')
  await writeFile(path, bytes)
  await expect(loadPeerKey(directory)).rejects.toMatchObject({
    name: 'NetworkError',
    code: 'peer_key_invalid',
    message: expect.stringContaining(path),
  })
  expect(new Uint8Array(await readFile(path))).toEqual(new Uint8Array(bytes))
})

test('a data directory that is a file is a clear error', async () => {
  const path = join(directory, 'file')
  await writeFile(path, '')
  await expect(loadPeerKey(path)).rejects.toMatchObject({ code: 'peer_key_unreadable' })
})
