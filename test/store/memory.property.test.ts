import { describe } from 'vitest'
import { memoryHarness } from './harness.ts'
import { storeProperties } from './store-properties.ts'

describe('a store in memory', () => {
  storeProperties(memoryHarness, 30)
})
