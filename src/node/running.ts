import type { Environment } from '../platform/environment.ts'

/** A running part, and how to stop it. */
export interface Running {
  readonly name: string
  readonly stop: () => Promise<void>
  /** Most time for the stop, and what earlier parts left of theirs. The sum is below 5 s (docs/protocol.md, "Command line"). */
  readonly limitMs: number
  /** Whether a failed stop can lose data. */
  readonly holdsData: boolean
}

/** Stops a part. Resolves with the error, or undefined if it stopped in time. */
export async function stopWithin(environment: Environment, { stop }: Running, limitMs: number): Promise<unknown> {
  let cancel: (() => void) | undefined
  const late = new Promise<Error>((resolve) => {
    cancel = environment.timers.after(limitMs, () => resolve(new Error(`The stop took longer than ${limitMs} ms.`)))
  })
  try {
    return await Promise.race([stop().then(() => undefined), late])
  } catch (error) {
    return error
  } finally {
    cancel?.()
  }
}
