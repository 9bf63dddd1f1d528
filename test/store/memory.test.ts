import { describe } from 'vitest'
import { corruptionSuite } from './corruption-suite.ts'
import { memoryHarness } from './harness.ts'
import { storeSuite } from './suite.ts'

describe('a store in memory', () => {
  storeSuite(memoryHarness)
  corruptionSuite(memoryHarness, 4)
})
