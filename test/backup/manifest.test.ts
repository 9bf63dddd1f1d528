import { describe, expect, it } from 'vitest'

import { BackupError } from '../../src/backup/errors.ts'
import { manifestText, parseManifest } from '../../src/backup/manifest.ts'
import type { Manifest } from '../../src/backup/manifest.ts'

const FILE = { bytes: 10, digest: 'cd'.repeat(32) }
const MANIFEST: Manifest = {
  avatars: 1,
  records: 2,
  live: 2,
  state: 'ab'.repeat(32),
  created_at: 1_790_000_000,
  version: '0.1.0',
  network: 'main',
  epoch: '0123456789abcdef',
  peer_id: '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
  files: { 'records.avatar-kv.ndjson.gz': FILE, 'hosting.log': FILE, 'peer.key': FILE },
}

const changed = (change: object) => JSON.stringify({ ...JSON.parse(manifestText(MANIFEST)), ...change })

describe('the manifest of a backup', () => {
  it('is read as it was written', () => {
    expect(parseManifest(manifestText(MANIFEST))).toEqual(MANIFEST)
    expect(parseManifest(changed({ peer_id: null, more: 1 }))).toEqual({ ...MANIFEST, peer_id: null })
  })

  it.each<[string, string, string]>([
    ['no JSON', '{"format"', 'damaged'],
    ['a list', '[]', 'damaged'],
    ['another format', changed({ format: 'avatar-kv-backup/2' }), 'not_a_backup'],
    ['no format', '{}', 'not_a_backup'],
    ['no records', changed({ files: { 'hosting.log': FILE } }), 'damaged'],
    ['a file elsewhere', changed({ files: { ...MANIFEST.files, '../../etc/passwd': FILE } }), 'damaged'],
    ['a file of the prototype', changed({ files: { ...MANIFEST.files, constructor: FILE } }), 'damaged'],
    ['a file without a hash', changed({ files: { 'records.avatar-kv.ndjson.gz': { bytes: 1 } } }), 'damaged'],
    ['records below 0', changed({ records: -1 }), 'damaged'],
    ['records as text', changed({ records: '2' }), 'damaged'],
    ['a short state', changed({ state: 'ab' }), 'damaged'],
    ['a network with a slash', changed({ network: '../main' }), 'damaged'],
    ['no epoch', changed({ epoch: undefined }), 'damaged'],
    ['a version with spaces', changed({ version: 'one two' }), 'damaged'],
  ])('is refused: %s', (_, text, code) => {
    expect(() => parseManifest(text)).toThrow(BackupError)
    expect(() => parseManifest(text)).toThrow(expect.objectContaining({ code }))
  })
})
