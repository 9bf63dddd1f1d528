import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

const MIB = 1_024 * 1_024
/**
 * What is garbage is collected once the old generation has grown by so much, in per cent of what was in use. V8 would let a
 * small one grow fourfold, and bytes outside of it along with it.
 */
const GROWING_PERCENT = 30
/** Each half of the young generation of a thread: V8 would take 16 MiB, which makes nothing faster here. */
const SEMI_SPACE_MIB = 4

/**
 * Keeps the heap close to what is in use, in the whole process and for good: for commands through which gigabytes flow and
 * of which little stays.
 *
 * @returns to be called now and then, for V8 forgets part of it whenever a thread is started
 */
export function keepHeapLean(): () => void {
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
