import v8 from 'node:v8'
import vm from 'node:vm'

/** Bytes in use on the heap, after all garbage is collected. */
export function heapBytes(): number {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
