import { describe } from 'vitest'
import { corruptionSuite } from './corruption-suite.ts'
import { memoryHarness } from './harness.ts'
import { linksSuite } from './links-suite.ts'
import { storeSuite } from './suite.ts'

describe('a store in memory', () => {
  storeSuite(memoryHarness)
  linksSuite(memoryHarness)
  corruptionSuite(memoryHarness, 4)
})
