/** A worker that dies on the first thing that it is given. */
import { parentPort } from 'node:worker_threads'

parentPort?.once('message', () => {
  throw new Error('this worker always dies')
})
