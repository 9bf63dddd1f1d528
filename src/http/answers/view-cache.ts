import { LRUCache } from 'lru-cache'

import type { Avatar } from '../../record/types.ts'
import { StoreError } from '../../store/errors.ts'
import type { StoreReader, ViewSnapshot } from '../../store/types.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { JSON_TYPE } from '../lib/errors.ts'
import { cacheHeaders, etagOfSummary } from './etag.ts'
import { aboutOf } from './json-snapshots.ts'
import { createSemaphore } from './semaphore.ts'

/** An avatar's document, ready to send. */
export interface CachedView {
  readonly body: Buffer
  /** The part of the body that is the JSON array of namespaces. */
  readonly namespaces: Buffer
  readonly etag: string
  /** Headers of the answer 200, as `ServerResponse.writeHead` takes them. */
  readonly head: string[]
}

export interface ViewCache {
  /** Returns the cached document, if its avatar was read since its last change. Only the canonical text of an avatar matches. */
  peek(avatar: string): CachedView | undefined
  /** Returns the current document; undefined for an unknown avatar, `large` for a document that must be streamed. */
  load(avatar: Avatar): Promise<CachedView | 'large' | undefined>
  /** Removes an avatar from the cache. */
  drop(avatar: Avatar): void
  close(): void
}

/** A document larger than this, or than one part of `LARGEST_PART` of the cache, is streamed; it would evict too many others. */
const LARGEST_BYTES = 1024 * 1024
const LARGEST_PART = 8
/** Memory of an entry besides its body (key, head, bookkeeping). */
const ENTRY_OVERHEAD_BYTES = 1024
/** Documents read at the same time, at most 1 MiB each. The database reads four rows at a time. */
const MAX_READING = 32
/** Attempts to read a document with damaged rows. The store repairs them, so the second attempt usually succeeds. */
const MAX_TRIES = 3

/**
 * Caches documents of `GET /v2/avatars/{avatar}` as bytes.
 *
 * Guarantee: an answer is never older than the last commit announced before the request. A commit evicts the documents of its
 * avatars. A document whose read began before the commit still answers the requests that wait for it, but is neither cached
 * nor shared with later requests.
 *
 * @param options.maxBytes size of the cache
 * @param options.network name of the network, part of each document
 */
export function createViewCache(
  store: Pick<StoreReader, 'openView' | 'onCommit'>,
  options: { readonly maxBytes: number; readonly network: string },
): ViewCache {
  const largestBytes = Math.min(LARGEST_BYTES, Math.ceil(options.maxBytes / LARGEST_PART))
  const cache = new LRUCache<string, CachedView>({
    maxSize: options.maxBytes,
    sizeCalculation: ({ body }) => body.length + ENTRY_OVERHEAD_BYTES,
  })
  const reading = new Map<Avatar, Promise<CachedView | 'large' | undefined>>()
  const withPermit = createSemaphore(MAX_READING)

  const unsubscribe = store.onCommit((events) => {
    for (const { avatar } of events) drop(avatar)
  })

  function drop(avatar: Avatar): void {
    cache.delete(avatar)
    reading.delete(avatar)
  }

  async function read(avatar: Avatar): Promise<CachedView | 'large' | undefined> {
    for (let tries = 1; ; tries++) {
      const view = await store.openView(avatar)
      if (view === undefined) return undefined
      try {
        return await readWhole(view, options.network, largestBytes)
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'unreadable' || tries >= MAX_TRIES) throw error
      } finally {
        await view.close()
      }
    }
  }

  return {
    peek: (avatar) => cache.get(avatar),
    load(avatar) {
      const cached = cache.get(avatar)
      if (cached !== undefined) return Promise.resolve(cached)
      const shared = reading.get(avatar)
      if (shared !== undefined) return shared
      const promise = withPermit(() => read(avatar))
        .then((view) => {
          if (typeof view === 'object' && reading.get(avatar) === promise) cache.set(avatar, view)
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

async function readWhole(view: ViewSnapshot, network: string, maxBytes: number): Promise<CachedView | 'large'> {
  const about = aboutOf(view.summary, network)
  const chunks: Uint8Array[] = [about]
  let bytes = about.length + 1
  for await (const chunk of view.read()) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > maxBytes) return 'large'
  }
  const body = Buffer.concat([...chunks, Buffer.from('}')], bytes)
  const etag = etagOfSummary(view.summary)
  return {
    body,
    namespaces: body.subarray(about.length, -1),
    etag,
    head: ['content-type', JSON_TYPE, 'content-length', String(bytes), ...cacheHeaders(etag), ...CORS_HEADERS],
  }
}
