import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { createDeadline, pause } from '../../src/client/deadline.ts'

it('gives a signal one listener, however many wait for it, and ends them all', async () => {
  const { signal, abort } = controllerOf()
  const deadlines = Array.from({ length: 20 }, () => createDeadline([signal, undefined], 60_000))
  const pauses = Array.from({ length: 20 }, () => pause(60_000, [signal, undefined, signal]))
  await pause(1, [signal])
  deadlines[0]?.close()
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  abort()
  await Promise.all(pauses)
  expect(deadlines.map((each) => each.signal.aborted)).toEqual(deadlines.map((_, at) => at > 0))
  expect(createDeadline([signal], 60_000).signal.aborted).toBe(true)
  for (const each of deadlines) each.close()
})

function controllerOf() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
