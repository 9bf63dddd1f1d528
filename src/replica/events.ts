import type { ReplicaEvent } from './types.ts'

/** Events that are held until there is a listener: damage, for one, is found before the caller has the replica. */
const MAX_UNHEARD = 100

export function createEvents() {
  const listeners = new Set<(event: ReplicaEvent) => void>()
  const unheard: ReplicaEvent[] = []

  function emit(event: ReplicaEvent): void {
    if (listeners.size === 0 && unheard.length < MAX_UNHEARD) unheard.push(event)
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        // An error of one listener must stop neither the replica nor the next listener.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  return {
    emit,
    /** @returns a function that ends it */
    on(listener: (event: ReplicaEvent) => void): () => void {
      listeners.add(listener)
      for (const event of unheard.splice(0)) emit(event)
      return () => void listeners.delete(listener)
    },
  }
}
