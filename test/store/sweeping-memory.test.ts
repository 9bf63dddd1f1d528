import { describe } from 'vitest'
import { memoryHarness } from './harness.ts'
import { sweepingSuite } from './sweeping-suite.ts'

describe('a store in memory', () => {
  sweepingSuite(memoryHarness)
})
