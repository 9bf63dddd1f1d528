/**
 * Returns the CPU time that `run` takes, in milliseconds. Waiting for a processor does not count, so that costs can be compared on a busy
 * machine: always with each other, never with a number.
 */
export async function cpuMs(run: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}
