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
    moment: async (scope) => {
      const moment = await watch(() => source.moment(scope))
      const live = store.totals().records
      if (scope === 'all' && isSound() && moment.size() !== live) {
        onFault(new Error(`${moment.size()} records, not ${live}`))
      }
      return {
        size: () => moment.size(),
        sum: (begin, end) => watch(() => moment.sum(begin, end)),
        items: (begin, end) => watch(() => moment.items(begin, end)),
        lowerBound: (begin, end, bound) => watch(() => moment.lowerBound(begin, end, bound)),
        close: () => moment.close(),
      }
    },
  }
}
