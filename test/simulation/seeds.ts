import { expect } from 'vitest'
import { replayCommand, simulate } from './simulate.ts'

/** Lives through seeds from `from` up to but not including `to`; a failure names the command that shows it again. */
export async function expectSound(from: number, to: number): Promise<void> {
  for (let seed = from; seed < to; seed += 1) await expectSeedSound(seed)
}

export async function expectSeedSound(seed: number): Promise<void> {
  const { failure } = await simulate(seed)
  expect(failure, failure && `${failure.message}\n${replayCommand(seed)}`).toBeUndefined()
}
