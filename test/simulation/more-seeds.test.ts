import { describe, test } from 'vitest'
import { expectSound, SEEDS_TIMEOUT_MS } from './seeds.ts'

// A file of its own, so that both halves run at once.
describe('simulated worlds', () => {
  test('seeds 251 to 500', { timeout: SEEDS_TIMEOUT_MS }, () => expectSound(251, 501))
})
