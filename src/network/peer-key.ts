import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'

import { codeOf, messageOf } from '../platform/errors.ts'
import { createFileOnce, makeDirectory } from '../platform/files.ts'
import { NetworkError } from './errors.ts'

const FILE_NAME = 'peer.key'

/**
 * The node's own key, which makes its peer id: `peer.key` in the data directory, an Ed25519 private key as the protobuf
 * bytes of the libp2p peer id specification ("Keys"), file mode 0600. Created if absent, with the directory: atomically, and
 * by only one of two processes that start at once.
 *
 * @param dataDir path of the data directory
 * @throws NetworkError `peer_key_invalid` if the file is not such a key (the file stays unchanged), `peer_key_unreadable`
 *   if it can be neither read nor created
 */
export async function loadPeerKey(dataDir: string): Promise<PrivateKey> {
  const path = join(dataDir, FILE_NAME)
  try {
    return (await readKey(path)) ?? (await createKey(dataDir, path))
  } catch (error) {
    if (error instanceof NetworkError) throw error
    throw new NetworkError(
      'peer_key_unreadable',
      `The peer key ${path} can be neither read nor created: ${messageOf(error)}. Check the owner and mode of the data directory.`,
      { cause: error },
    )
  }
}

async function readKey(path: string): Promise<PrivateKey | undefined> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const key = privateKeyFromProtobuf(bytes)
    if (key.type === 'Ed25519') return key
  } catch (error) {
    throw invalidKey(path, error)
  }
  throw invalidKey(path)
}

async function createKey(dataDir: string, path: string): Promise<PrivateKey> {
  await makeDirectory(dataDir)
  const key = await generateKeyPair('Ed25519')
  if (await createFileOnce(path, privateKeyToProtobuf(key))) return key
  const other = await readKey(path)
  if (other === undefined) throw new Error('another process creates and removes it')
  return other
}

function invalidKey(path: string, cause?: unknown): NetworkError {
  return new NetworkError(
    'peer_key_invalid',
    `${path} is not an Ed25519 peer key. Restore it from a backup; or move it away, and a new key, and with it a new peer id, is made at the next start.`,
    { cause },
  )
}
