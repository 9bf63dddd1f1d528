import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { createDiskWatch, type DiskMarks, type DiskSpace } from '../../src/hosting/disk-watch.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { systemEnvironment } from '../../src/platform/system.ts'

/** Looks at the disk take place every two seconds. */
const LOOK_MS = 2_000
const MARKS: DiskMarks = { newAvatarsPercent: 10, writesPercent: 5 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

async function open(marks = MARKS) {
  const disk = { percent: 50, isBroken: false, looks: 0 }
  const lines: { level: number; msg: string; disk?: string }[] = []
  const rooms: string[] = []
  const space = (): Promise<DiskSpace> => {
    disk.looks += 1
    if (disk.isBroken) return Promise.reject(new Error('EIO'))
    return Promise.resolve({ freeBytes: disk.percent * 10_000, totalBytes: 1_000_000 })
  }
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const metrics = createMetrics()
  const { timers } = systemEnvironment()
  const watch = createDiskWatch(
    { space, onRoom: () => void rooms.push(watch.state()), environment: { timers }, logger, metrics },
    marks,
  )
  await watch.start()
  return {
    disk,
    watch,
    lines,
    rooms,
    metrics,
    /** What the node says once the disk has this much room. */
    async at(percent: number) {
      disk.percent = percent
      await vi.advanceTimersByTimeAsync(LOOK_MS)
      return [watch.state(), watch.refusesAll()?.code, watch.refusesNew()?.code]
    },
  }
}

test('the node takes no new avatars below one mark, and no records below the other', async () => {
  const { at } = await open()
  expect(await at(10)).toEqual(['ok', undefined, undefined])
  expect(await at(9.9)).toEqual(['low', undefined, 'disk_low'])
  expect(await at(5)).toEqual(['low', undefined, 'disk_low'])
  expect(await at(4.9)).toEqual(['full', 'disk_full', 'disk_full'])
  expect(await at(0)).toEqual(['full', 'disk_full', 'disk_full'])
})

test('a state ends only with a percentage point more than its mark, and then others are told', async () => {
  const { at, rooms } = await open()
  await at(4)
  expect(await at(5.9)).toEqual(['full', 'disk_full', 'disk_full'])
  expect(await at(6)).toEqual(['low', undefined, 'disk_low'])
  expect(await at(5.1)).toEqual(['low', undefined, 'disk_low'])
  expect(await at(10.9)).toEqual(['low', undefined, 'disk_low'])
  expect(await at(11)).toEqual(['ok', undefined, undefined])
  expect(await at(10)).toEqual(['ok', undefined, undefined])
  expect(rooms).toEqual(['low', 'ok'])
})

test('every change is one line of the log, and a metric', async () => {
  const { at, lines, metrics } = await open()
  for (const percent of [9, 8, 9, 3, 2, 7, 30, 31]) await at(percent)
  expect(lines.map(({ level, disk }) => [level, disk])).toEqual([
    [40, 'low'],
    [50, 'full'],
    [40, 'low'],
    [30, 'ok'],
  ])
  await at(4)
  const { text } = await metrics.expose()
  expect(text).toMatch(/^avatar_kv_disk_state 2$/m)
  expect(text).toMatch(/^avatar_kv_disk_free_bytes 40000$/m)
  expect(text).toMatch(/^avatar_kv_disk_size_bytes 1000000$/m)
})

test('a mark of 0 never refuses, and the marks need no order', async () => {
  const off = await open({ newAvatarsPercent: 0, writesPercent: 0 })
  expect(await off.at(0)).toEqual(['ok', undefined, undefined])
  const reversed = await open({ newAvatarsPercent: 5, writesPercent: 10 })
  expect(await reversed.at(8)).toEqual(['full', 'disk_full', 'disk_full'])
  expect(await reversed.at(12)).toEqual(['ok', undefined, undefined])
})

test('a disk that cannot be read keeps its state, and is looked at again', async () => {
  const { at, disk, watch, lines } = await open()
  await at(3)
  disk.isBroken = true
  expect(await at(50)).toEqual(['full', 'disk_full', 'disk_full'])
  expect(lines.at(-1)?.msg).toContain('EIO')
  disk.isBroken = false
  expect(await at(50)).toEqual(['ok', undefined, undefined])
  const { looks } = disk
  watch.stop()
  await at(1)
  expect(disk.looks).toBe(looks)
})
