import { LRUCache } from 'lru-cache'

import type { Avatar } from '../record/types.ts'
import type { AvatarView, StoreReader } from '../store/types.ts'
import { CORS_HEADERS } from './cross-origin.ts'
import { JSON_TYPE } from './errors.ts'
import { cacheHeaders, etagOfSummary } from './etag.ts'

/** An avatar's document, ready to be sent. */
export interface CachedView {
  readonly body: Buffer
  readonly etag: string
  /** Of the answer 200, as `ServerResponse.writeHead` takes it. */
  readonly head: string[]
}

export interface ViewCache {
  /** The cached document, if its avatar was read since its last change. Takes canonical text; any other finds nothing. */
  peek(avatar: string): CachedView | undefined
  /** The document as of now; undefined for an unknown avatar. */
  load(avatar: Avatar): Promise<CachedView | undefined>
  /** Forgets what was read of an avatar. */
  drop(avatar: Avatar): void
  close(): void
}

/** A document larger than this part of the cache is not kept: it would push out all others. */
const LARGEST_ENTRY_PART = 8
/** What an entry takes beside its body, in bytes (key, head, bookkeeping). */
const ENTRY_OVERHEAD_BYTES = 1024

/**
 * Documents of `GET /v2/avatars/{avatar}`, kept as bytes.
 *
 * Guarantee: an answer is never older than the last commit announced before it was asked for. A commit drops what is
 * cached of its avatars, and what is being read of them is answered but not kept, nor shared with later requests.
 *
 * @param options.maxBytes of the documents kept
 * @param options.network shown in each document
 */
export function createViewCache(
  store: Pick<StoreReader, 'view' | 'onCommit'>,
  options: { readonly maxBytes: number; readonly network: string },
): ViewCache {
  const cache = new LRUCache<string, CachedView>({
    maxSize: options.maxBytes,
    maxEntrySize: Math.ceil(options.maxBytes / LARGEST_ENTRY_PART),
    sizeCalculation: ({ body }) => body.length + ENTRY_OVERHEAD_BYTES,
  })
  const reading = new Map<Avatar, Promise<CachedView | undefined>>()

  const unsubscribe = store.onCommit((events) => {
    for (const { avatar } of events) drop(avatar)
  })

  function drop(avatar: Avatar): void {
    cache.delete(avatar)
    reading.delete(avatar)
  }

  async function read(avatar: Avatar): Promise<CachedView | undefined> {
    const view = await store.view(avatar)
    if (view === undefined) return undefined
    const body = Buffer.from(documentOf(view, options.network))
    const etag = etagOfSummary(view.summary)
    const length = String(body.length)
    return {
      body,
      etag,
      head: ['content-type', JSON_TYPE, 'content-length', length, ...cacheHeaders(etag), ...CORS_HEADERS],
    }
  }

  return {
    peek: (avatar) => cache.get(avatar),
    load(avatar) {
      const cached = cache.get(avatar)
      if (cached !== undefined) return Promise.resolve(cached)
      const shared = reading.get(avatar)
      if (shared !== undefined) return shared
      const promise: Promise<CachedView | undefined> = read(avatar)
        .then((view) => {
          if (view !== undefined && reading.get(avatar) === promise) cache.set(avatar, view)
          return view
        })
        .finally(() => {
          if (reading.get(avatar) === promise) reading.delete(avatar)
        })
      reading.set(avatar, promise)
      return promise
    },
    drop,
    close: unsubscribe,
  }
}

/** JSON text of `GET /v2/avatars/{avatar}`; contents are put in as the JSON text that they are stored as. */
function documentOf({ summary, namespaces }: AvatarView, network: string): string {
  const { avatar, head, tips, tipsTotal, base, digest, pending, missing } = summary
  const about = JSON.stringify({ avatar, network, head, tips, tips_total: tipsTotal, base, digest, pending, missing })
  const contents = namespaces.map(
    ({ platform, identity, json }) =>
      `{"platform":${JSON.stringify(platform)},"identity":${JSON.stringify(identity)},"content":${json}}`,
  )
  return `${about.slice(0, -1)},"namespaces":[${contents.join(',')}]}`
}
