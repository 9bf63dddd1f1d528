import { linksSuite } from '../store/links-suite.ts'
import { storeSuite } from '../store/suite.ts'
import { postgresHarness } from './harness.ts'

storeSuite(postgresHarness)
linksSuite(postgresHarness, false)
