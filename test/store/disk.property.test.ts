import { describe } from 'vitest'
import { diskHarness } from './harness.ts'
import { storeProperties } from './store-properties.ts'

describe.each([
  ['that prunes', false],
  ['that keeps history', true],
])('a store on disk %s', (_, archive) => {
  storeProperties(diskHarness, 6, archive)
})
