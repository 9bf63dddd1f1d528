import { describe } from 'vitest'
import { memoryHarness } from './harness.ts'
import { storeProperties } from './store-properties.ts'

describe.each([
  ['that prunes', false],
  ['that keeps history', true],
])('a store in memory %s', (_, archive) => {
  storeProperties(memoryHarness, 30, archive)
})
