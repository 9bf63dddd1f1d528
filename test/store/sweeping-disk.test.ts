import { describe } from 'vitest'
import { diskHarness } from './harness.ts'
import { sweepingSuite } from './sweeping-suite.ts'

describe('a store on disk', () => {
  sweepingSuite(diskHarness)
})
