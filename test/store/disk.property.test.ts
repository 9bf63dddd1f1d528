import { describe } from 'vitest'
import { diskHarness } from './harness.ts'
import { storeProperties } from './store-properties.ts'

describe('a store on disk', () => {
  storeProperties(diskHarness, 10)
})
