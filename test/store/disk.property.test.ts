import { describe } from 'vitest'
import { diskHarness } from './harness.ts'
import { storeProperties } from './store-properties.ts'

describe.each([
  ['that prunes', {}],
  ['that prunes in the smallest steps', { stepRecords: 1 }],
  ['that keeps history', { archive: true, stepRecords: 2 }],
])('a store on disk %s', (_, options) => {
  storeProperties(diskHarness, 6, options)
})
