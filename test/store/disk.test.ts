import { describe, expect, test } from 'vitest'
import { corruptionSuite } from './corruption-suite.ts'
import { diskHarness, openTwice } from './harness.ts'
import { storeSuite } from './suite.ts'

describe('a store on disk', () => {
  storeSuite(diskHarness)
  corruptionSuite(diskHarness, 1)

  test('two stores on one directory: the second is refused, with what to do', async () => {
    const error = await openTwice()
    expect(error).toMatchObject({ name: 'StoreError', code: 'locked' })
    expect(String(error)).toMatch(/--data-dir/)
  })
})
