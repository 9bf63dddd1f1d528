import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../../support/ports.ts'
import { installPeers, PEER_VERSIONS, PeersError } from './install.ts'

let folder = ''
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'avatar-kv-install-'))
  // A registry that nothing listens for.
  writeFileSync(join(folder, '.npmrc'), `registry=http://127.0.0.1:${await freePort()}/\n`)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function pretendInstalled(versions: Readonly<Record<string, string>>): void {
  for (const [name, version] of Object.entries(versions)) {
    mkdirSync(join(folder, 'node_modules', name), { recursive: true })
    writeFileSync(join(folder, 'node_modules', name, 'package.json'), JSON.stringify({ name, version }))
  }
}

test('says what is missing, why, and what to do when the registry cannot be reached', async () => {
  pretendInstalled({ ...PEER_VERSIONS, hyperbee: '1.0.0' })
  const error = await installPeers(folder).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(PeersError)
  const { message } = error as PeersError
  expect(message).toContain(`(hyperbee ${PEER_VERSIONS.hyperbee}) into ${folder}`)
  expect(message).toContain('ECONNREFUSED')
  expect(message).toContain('npm ping')
})

test('asks no registry when the pinned versions are there', async () => {
  pretendInstalled(PEER_VERSIONS)
  await expect(installPeers(folder)).resolves.toBeUndefined()
})
