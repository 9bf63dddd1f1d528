/**
 * A verification worker: one thread with its own engine. It reports invalid records in its answer. Any other error ends the
 * worker, and the service then verifies its records on the calling thread.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { RecordError } from '../record/errors.ts'
import { writeHexBytes } from '../record/hex.ts'
import { verifyRecord } from '../record/verify.ts'
import { ID_BYTES, unpackRecords } from './messages.ts'
import type { Fault, VerifyReply, VerifyRequest, WorkerSettings } from './messages.ts'
import { selectEngine } from './select-engine.ts'

const settings = workerData as WorkerSettings
const engine = await selectEngine(settings.engine)

parentPort?.on('message', (request: VerifyRequest) => {
  const reply = answer(request)
  parentPort?.postMessage(reply, [reply.ids])
})

function answer({ job, count, recoveryByte, packed }: VerifyRequest): VerifyReply {
  const ids = new Uint8Array(count * ID_BYTES)
  const faults: Fault[] = []
  unpackRecords(packed, count).forEach((record, index) => {
    try {
      const { id } = verifyRecord(engine, settings.network, record, { recoveryByte })
      writeHexBytes(ids, index * ID_BYTES, id, 2)
    } catch (error) {
      if (!(error instanceof RecordError)) throw error
      faults.push({ index, code: error.code, message: error.message })
    }
  })
  return { job, ids: ids.buffer, faults }
}
