import { describe } from 'vitest'
import { storeProperties } from '../store/store-properties.ts'
import { postgresHarness } from './harness.ts'

describe('on PostgreSQL', () => {
  storeProperties(postgresHarness, 24, {})
})

describe('on PostgreSQL, with history', () => {
  storeProperties(postgresHarness, 12, { archive: true })
})
