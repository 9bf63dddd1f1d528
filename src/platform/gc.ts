import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

const MIB = 1_024 * 1_024
/**
 * Growth of the old generation, in percent of what was in use, after which V8 collects garbage. Without it V8 lets a small
 * heap grow fourfold, and the bytes outside of it too.
 */
const GROWING_PERCENT = 30
/** Each half of a thread's young generation. V8's default of 16 MiB makes nothing faster here. */
const SEMI_SPACE_MIB = 4

/**
 * Keeps the heap of this process close to what is in use, for good. For commands that pass over gigabytes and keep little.
 *
 * @returns to be called now and then, because V8 forgets a part of it whenever a thread starts
 */
export function limitHeapGrowth(): () => void {
  // Read by V8 at each collection, and when the heap of a thread is made: they may be set at any time.
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`)
  setFlagsFromString(`--max-semi-space-size=${SEMI_SPACE_MIB}`)
  // No growth while modules are loaded, which leaves nothing behind in the young generation.
  setFlagsFromString('--semi-space-growth-factor=1')
  return () => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    const isGrown = (young?.space_size ?? 0) >= 2 * SEMI_SPACE_MIB * MIB
    setFlagsFromString(`--semi-space-growth-factor=${isGrown ? 1 : 2}`)
  }
}
