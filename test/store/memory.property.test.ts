import { describe } from 'vitest'
import { memoryHarness } from './harness.ts'
import { storeProperties } from './store-properties.ts'

describe.each([
  ['that prunes', {}],
  ['that prunes in the smallest steps', { stepRecords: 1 }],
  ['that keeps history', { archive: true, stepRecords: 2 }],
])('a store in memory %s', (_, options) => {
  storeProperties(memoryHarness, 24, options)
})
