import type { Logger } from '../observe/types.ts'
import type { Timers } from '../platform/environment.ts'

/** Waits for work that ends a part, up to a time. Resolves with whether it ended in time, with or without an error. */
export async function within(
  { timers, logger }: { readonly timers: Timers; readonly logger: Logger },
  limitMs: number,
  work: Promise<unknown>,
): Promise<boolean> {
  let cancel = (): void => {}
  const timeout = new Promise<boolean>((resolve) => {
    cancel = timers.after(limitMs, () => resolve(false))
  })
  const done = await Promise.race([
    work.then(
      () => true,
      (error: unknown) => {
        logger.debug({ err: error }, 'stopping met an error')
        return true
      },
    ),
    timeout,
  ])
  cancel()
  return done
}
