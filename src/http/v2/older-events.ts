import { LRUCache } from 'lru-cache'

import type { Avatar } from '../../record/types.ts'
import type { ChangeEvent, StoreReader } from '../../store/types.ts'
import { EventBlock } from './event-frames.ts'

/**
 * Sequences of a page. Pages of all avatars end at its multiples, so that streams which are behind by different amounts read
 * the same pages. 256 events have about 90 KB.
 */
const PAGE_SEQUENCES = 256
/** Events of each avatar in a page of up to 65 avatars. */
const LEAST_PER_AVATAR = 16
/** Pages that are kept for the next stream: about 3 MB. */
const MAX_PAGES = 32

/** Reads events that are not recent from the store. Streams that need the same page at about the same time share one read. */
export interface OlderEvents {
  /**
   * Returns the events after a sequence, in a block that ends later; `reset` if the store no longer has them.
   *
   * @param newest a sequence that is committed, greater than `after`
   */
  read(after: number, newest: number, avatars: ReadonlySet<Avatar> | undefined): Promise<EventBlock | 'reset'>
  /** Forgets the pages that were read. */
  clear(): void
}

export function createOlderEvents(store: Pick<StoreReader, 'epoch' | 'events'>): OlderEvents {
  let pages = new LRUCache<number, EventBlock>({ max: MAX_PAGES })

  async function ofAll(after: number, newest: number): Promise<EventBlock | 'reset'> {
    const own = pages
    const known = own.get(after)
    if (known !== undefined) return known
    const end = (Math.floor(after / PAGE_SEQUENCES) + 1) * PAGE_SEQUENCES
    const events = await store.events({ after, limit: end - after })
    if (events === 'reset') return 'reset'
    const inPage = events.filter(({ sequence }) => sequence <= end)
    const last = inPage.length < events.length ? end : (inPage.at(-1)?.sequence ?? newest)
    const page = EventBlock.of(after, last, inPage, store.epoch)
    own.set(after, page)
    return page
  }

  async function ofAvatars(after: number, newest: number, avatars: ReadonlySet<Avatar>): Promise<EventBlock | 'reset'> {
    const limit = Math.max(LEAST_PER_AVATAR, Math.ceil(PAGE_SEQUENCES / avatars.size))
    let end = newest
    const found: ChangeEvent[] = []
    for (const avatar of avatars) {
      const events = await store.events({ after, avatar, limit })
      if (events === 'reset') return 'reset'
      // Fewer events than asked for do not mean the end, but none do.
      end = Math.min(end, events.at(-1)?.sequence ?? newest)
      found.push(...events)
    }
    const inPage = found.filter(({ sequence }) => sequence <= end).sort((a, b) => a.sequence - b.sequence)
    return EventBlock.of(after, end, inPage, store.epoch)
  }

  return {
    read: (after, newest, avatars) =>
      avatars === undefined ? ofAll(after, newest) : ofAvatars(after, newest, avatars),
    clear() {
      // A read that is under way adds its page to the old ones.
      pages = new LRUCache({ max: MAX_PAGES })
    },
  }
}
