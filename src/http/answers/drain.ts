import type { Writable } from 'node:stream'

import type { Timers } from '../../platform/environment.ts'

/**
 * Waits until a stream accepts more data.
 *
 * @param timeoutMs longest wait for the reader
 * @returns false if the stream ended or did not drain in that time
 */
export function waitForDrain(stream: Writable, timers: Timers, timeoutMs: number): Promise<boolean> {
  if (stream.destroyed || stream.writableEnded) return Promise.resolve(false)
  if (!stream.writableNeedDrain) return Promise.resolve(true)
  return new Promise((resolve) => {
    const settle = (drained: boolean) => {
      cancel()
      stream.off('drain', onDrain).off('close', onClose)
      resolve(drained)
    }
    const onDrain = () => settle(true)
    const onClose = () => settle(false)
    const cancel = timers.after(timeoutMs, () => settle(false))
    stream.once('drain', onDrain).once('close', onClose)
  })
}
