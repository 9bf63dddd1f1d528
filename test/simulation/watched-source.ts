import type { RebuildableStore } from '../../src/store/types.ts'
import type { Awaitable } from '../../src/negentropy/types.ts'
import type { SyncSource } from '../../src/store/types.ts'

/** What sync reads from a store: on a sound disk it must not fail, and it begins with exactly what is live. */
export function watched(
  store: RebuildableStore,
  { isSound, onFault }: { readonly isSound: () => boolean; readonly onFault: (error: unknown) => void },
): SyncSource {
  const source = store.sync
  const watch = async <T>(read: () => Awaitable<T>): Promise<T> => {
    try {
      return await read()
    } catch (error) {
      if (isSound()) onFault(error)
      throw error
    }
  }
  return {
    ...source,
    readSnapshot: async (scope) => {
      const readSnapshot = await watch(() => source.readSnapshot(scope))
      const live = store.totals().records
      if (scope === 'all' && isSound() && readSnapshot.size() !== live) {
        onFault(new Error(`${readSnapshot.size()} records, not ${live}`))
      }
      return {
        size: () => readSnapshot.size(),
        sum: (begin, end) => watch(() => readSnapshot.sum(begin, end)),
        items: (begin, end) => watch(() => readSnapshot.items(begin, end)),
        lowerBound: (begin, end, bound) => watch(() => readSnapshot.lowerBound(begin, end, bound)),
        close: () => readSnapshot.close(),
      }
    },
  }
}
