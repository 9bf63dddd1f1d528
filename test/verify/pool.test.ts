import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createWorkerPool } from '../../src/verify/pool.ts'

/** Answers with the limit that Node.js has given to its thread. */
const SCRIPT = `
import { parentPort, resourceLimits } from 'node:worker_threads'
parentPort.on('message', ({ job }) => {
  const fault = { index: 0, code: 'limit', message: String(resourceLimits.maxYoungGenerationSizeMb) }
  parentPort.postMessage({ job, ids: new ArrayBuffer(0), faults: [fault] })
})
`

test('the young generation of a worker is at most 8 MB', async () => {
  const url = new URL(`data:text/javascript,${encodeURIComponent(SCRIPT)}`)
  const settings = { engine: 'libsecp256k1', network: 'main' } as const
  const pool = createWorkerPool({ logger: pino({ level: 'silent' }) }, { url, size: 1, settings })
  try {
    const reply = await pool.run([], { recoveryByte: false })
    expect(Number(reply?.faults[0]?.message)).toBeLessThanOrEqual(8)
  } finally {
    await pool.close()
  }
})
