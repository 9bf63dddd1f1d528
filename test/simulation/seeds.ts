import { replayCommand, simulate } from './simulate.ts'

/** For 250 seeds on a machine that has other work as well; alone they take about half a minute. */
export const SEEDS_TIMEOUT_MS = 900_000

/** Lives through seeds from `from` up to but not including `to`. */
export async function expectSound(from: number, to: number): Promise<void> {
  for (let seed = from; seed < to; seed += 1) await expectSeedSound(seed)
}

/** @throws Error that names the command which shows the failure again */
export async function expectSeedSound(seed: number): Promise<void> {
  const { failure } = await simulate(seed)
  if (failure !== undefined) throw new Error(`seed ${seed}: ${failure.message}\n${replayCommand(seed)}`)
}
