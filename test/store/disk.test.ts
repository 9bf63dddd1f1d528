import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { corruptionSuite } from './corruption-suite.ts'
import { openStore } from '../../src/store/store.ts'
import { expectOracle } from './expectations.ts'
import { diskHarness, openTwice, silentComponents, verified } from './harness.ts'
import { linksSuite } from './links-suite.ts'
import { storeSuite } from './suite.ts'
import { Writer } from './writer.ts'

describe('a store on disk', () => {
  storeSuite(diskHarness)
  linksSuite(diskHarness)
  corruptionSuite(diskHarness, 1)

  test('a clean stop leaves nothing in the log, and all rows in compressed tables', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-stop-'))
    const location = join(folder, 'store')
    const store = await openStore(silentComponents, { location, network: 'main' })
    const writer = new Writer(1)
    const records = verified(writer.chain(200))
    await store.commit(records)
    await store.close()
    const sizes = await Promise.all(
      (await readdir(location)).map(async (name) => [name, (await stat(join(location, name))).size] as const),
    )
    const bytes = (ending: string) =>
      sizes.filter(([name]) => name.endsWith(ending)).reduce((sum, [, size]) => sum + size, 0)
    expect(bytes('.log')).toBe(0)
    expect(bytes('.ldb')).toBeGreaterThan(64 * records.length)
    const again = await openStore(silentComponents, { location, network: 'main' })
    await expectOracle(again, writer.avatar, records)
    expect(again.damage()).toBeUndefined()
    await again.close()
    await rm(folder, { recursive: true })
  })

  test('two stores on one directory: the second is refused, with what to do', async () => {
    const error = await openTwice()
    expect(error).toMatchObject({ name: 'StoreError', code: 'locked' })
    expect(String(error)).toMatch(/--data-dir/)
  })
})
