import { replayCommand, simulate } from './simulate.ts'

/** Lives through seeds from `from` up to but not including `to`. */
export async function expectSound(from: number, to: number): Promise<void> {
  for (let seed = from; seed < to; seed += 1) await expectSeedSound(seed)
}

/** @throws Error that names the command which shows the failure again */
export async function expectSeedSound(seed: number): Promise<void> {
  const { failure } = await simulate(seed)
  if (failure !== undefined) throw new Error(`seed ${seed}: ${failure.message}\n${replayCommand(seed)}`)
}
