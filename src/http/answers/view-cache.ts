import { createHash } from 'node:crypto'

import { LRUCache } from 'lru-cache'

import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar } from '../../record/types.ts'
import type { NamespaceName } from '../../state/content.ts'
import { StoreError } from '../../store/errors.ts'
import type { JsonSnapshot, LinkedSnapshot, StoreReader } from '../../store/types.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { JSON_TYPE } from '../lib/errors.ts'
import { Dependents } from './dependents.ts'
import { cacheHeaders, etagOfHash, etagOfLinked, etagOfSummary } from './etag.ts'
import { aboutLinked, aboutOf } from './json-snapshots.ts'
import { createSemaphore } from './semaphore.ts'

/** An avatar's document, or the content of one of its namespaces, ready to send. */
export interface CachedView {
  readonly body: Buffer
  /** The part of the body that the store has written: the array of namespaces, or the content. */
  readonly stored: Buffer
  readonly etag: string
  /** Headers of the answer 200, as `ServerResponse.writeHead` takes them. */
  readonly head: string[]
}

/** A view; undefined for an unknown avatar or namespace, `large` for text that must be streamed. */
export type Loaded = CachedView | 'large' | undefined

export interface ViewCache {
  /**
   * Returns a cached view, if it was read since the avatar's last change.
   *
   * @param path what follows `/v2/avatars/` in the URL. Only the canonical text matches: that of `AVATAR` or
   *   `AVATAR/PLATFORM/IDENTITY`, the names as `encodeURIComponent` writes them, or one of them and `?linked=true`
   */
  peek(path: string): CachedView | undefined
  /** Returns the current document of an avatar. */
  load(avatar: Avatar): Promise<Loaded>
  /** Returns the current content of a namespace. */
  loadContent(avatar: Avatar, namespace: NamespaceName): Promise<Loaded>
  /** Returns the current document of an avatar with its linked view. */
  loadLinked(avatar: Avatar): Promise<Loaded>
  /** Returns the current content of an avatar's own namespace in its linked view. */
  loadLinkedContent(avatar: Avatar): Promise<Loaded>
  /** Removes an avatar from the cache, and the linked views that show values of it. */
  drop(avatar: Avatar): void
  close(): void
}

/** A text longer than this, or than one part of `LARGEST_PART` of the cache, is streamed; it would evict too many others. */
const LARGEST_BYTES = 1024 * 1024
const LARGEST_PART = 8
/** What the path of a linked view ends with. */
const LINKED = '?linked=true'
/** Of `0x` and the hex digits of a compressed key. */
const AVATAR_CHARACTERS = 68
/** Memory of an entry besides its body (key, head, bookkeeping). */
const ENTRY_OVERHEAD_BYTES = 1024
/** Texts read at the same time, at most 1 MiB each. The database reads four rows at a time. */
const MAX_READING = 32
/** Attempts to read a text with damaged rows. The store repairs them, so the second attempt usually succeeds. */
const MAX_TRIES = 3

/**
 * Caches the answers of `GET /v2/avatars/{avatar}` and `GET /v2/avatars/{avatar}/{platform}/{identity}` as bytes, each also
 * with `?linked=true`.
 *
 * Guarantee: an answer is never older than the last commit announced before the request. A commit evicts the views of its
 * avatars, and the linked views that show values of them. A view whose read began before the commit still answers the requests that wait for it, but is neither cached nor
 * shared with later requests.
 *
 * @param options.maxBytes size of the cache
 * @param options.network name of the network, part of each document
 * @param options.isShown whether this node shows the state of an avatar in the views of others
 */
export function createViewCache(
  store: Pick<StoreReader, 'openView' | 'openContent' | 'openLinkedView' | 'openLinkedContent' | 'onCommit'>,
  options: {
    readonly maxBytes: number
    readonly network: string
    readonly isShown: (avatar: Avatar) => boolean
  },
): ViewCache {
  const largestBytes = Math.min(LARGEST_BYTES, Math.ceil(options.maxBytes / LARGEST_PART))
  /** Paths of what is cached or read of each avatar. */
  const pathsOf = new Map<string, Set<string>>()
  const reading = new Map<string, Promise<Loaded>>()
  const dependents = new Dependents()
  // That a text is large is remembered too: otherwise each request would read its beginning for nothing.
  const cache = new LRUCache<string, CachedView | 'large'>({
    maxSize: options.maxBytes,
    sizeCalculation: (view, path) => (view === 'large' ? 0 : view.body.length) + path.length + ENTRY_OVERHEAD_BYTES,
    dispose: (_view, path) => forget(path),
  })
  const withPermit = createSemaphore(MAX_READING)

  const unsubscribe = store.onCommit((events) => {
    for (const { avatar } of events) drop(avatar)
  })

  function drop(avatar: Avatar): void {
    for (const path of pathsOf.get(avatar) ?? []) {
      reading.delete(path)
      cache.delete(path)
      dependents.delete(path)
    }
    pathsOf.delete(avatar)
    for (const path of dependents.changed(avatar)) {
      reading.delete(path)
      cache.delete(path)
      forget(path)
    }
  }

  /** Removes a path that is neither cached nor read any more from `pathsOf`. */
  function forget(path: string): void {
    if (reading.has(path)) return
    dependents.delete(path)
    const avatar = avatarOfPath(path)
    const paths = pathsOf.get(avatar)
    paths?.delete(path)
    if (paths?.size === 0) pathsOf.delete(avatar)
  }

  function load(path: string, read: () => Promise<Loaded>): Promise<Loaded> {
    const cached = cache.get(path)
    if (cached !== undefined) return Promise.resolve(cached)
    const shared = reading.get(path)
    if (shared !== undefined) return shared
    const promise = withPermit(() => retried(read))
      .then((view) => {
        if (view !== undefined && reading.get(path) === promise) cache.set(path, view)
        return view
      })
      .finally(() => {
        if (reading.get(path) !== promise) return
        reading.delete(path)
        if (!cache.has(path)) forget(path)
      })
    reading.set(path, promise)
    const avatar = avatarOfPath(path)
    pathsOf.set(avatar, (pathsOf.get(avatar) ?? new Set()).add(path))
    return promise
  }

  /** Loads a linked view, and notes what it depends on. */
  async function loadLinked(
    path: string,
    open: () => Promise<LinkedSnapshot | undefined>,
    frame: (view: LinkedSnapshot) => Frame,
  ): Promise<Loaded> {
    await dependents.settled(path)
    return await load(path, async () => {
      const opening = dependents.begin(path)
      try {
        const view = await open()
        if (view === undefined) return undefined
        const linked = view.links.map((link) => link.avatar)
        // Without an entry in `reading` the view is neither cached nor shared.
        if (!dependents.add(opening, linked)) {
          reading.delete(path)
          forget(path)
        }
        return await readWhole(view, frame(view), largestBytes)
      } finally {
        dependents.end(opening)
      }
    })
  }

  return {
    peek(path) {
      const view = cache.get(path)
      return view === 'large' ? undefined : view
    },
    load: (avatar) =>
      load(avatar, async () => {
        const view = await store.openView(avatar)
        if (view === undefined) return undefined
        const before = aboutOf(view.summary, options.network)
        return await readWhole(view, { before, after: '}', etag: etagOfSummary(view.summary) }, largestBytes)
      }),
    loadContent: (avatar, { platform, identity }) =>
      load(contentPath(avatar, platform, identity), async () => {
        const content = await store.openContent(avatar, platform, identity)
        return content && (await readWhole(content, CONTENT, largestBytes))
      }),
    loadLinked(avatar) {
      const path = `${avatar}${LINKED}`
      const open = () => store.openLinkedView(avatar, options.isShown)
      const frame = (view: LinkedSnapshot): Frame => ({
        before: aboutLinked(view, options.network),
        after: '}',
        etag: etagOfLinked(view),
      })
      return loadLinked(path, open, frame)
    },
    loadLinkedContent(avatar) {
      const path = `${contentPath(avatar, OWN_PLATFORM, avatar)}${LINKED}`
      const open = () => store.openLinkedContent(avatar, options.isShown)
      return loadLinked(path, open, () => CONTENT)
    },
    drop,
    close: unsubscribe,
  }
}

/** What stands around the text that the store gives. */
interface Frame {
  readonly before: Buffer
  readonly after: string
  /** Undefined: it is made from the text. */
  readonly etag: string | undefined
}

const CONTENT: Frame = { before: Buffer.alloc(0), after: '', etag: undefined }

const contentPath = (avatar: Avatar, platform: string, identity: string): string =>
  `${avatar}/${encodeURIComponent(platform)}/${encodeURIComponent(identity)}`

/** The avatar that a path of the cache begins with. */
export function avatarOfPath(path: string): Avatar {
  return path.slice(0, AVATAR_CHARACTERS) as Avatar
}

async function retried(read: () => Promise<Loaded>): Promise<Loaded> {
  for (let tries = 1; ; tries++) {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'unreadable' || tries >= MAX_TRIES) throw error
    }
  }
}

/** Reads a snapshot to its end and closes it. */
async function readWhole(
  readSnapshot: JsonSnapshot,
  { before, after, etag }: Frame,
  maxBytes: number,
): Promise<CachedView | 'large'> {
  try {
    const chunks: Uint8Array[] = [before]
    let bytes = before.length + after.length
    for await (const chunk of readSnapshot.read()) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > maxBytes) return 'large'
    }
    const body = Buffer.concat([...chunks, Buffer.from(after)], bytes)
    const tag = etag ?? etagOfHash(createHash('sha256').update(body))
    return {
      body,
      stored: body.subarray(before.length, body.length - after.length),
      etag: tag,
      head: ['content-type', JSON_TYPE, 'content-length', String(bytes), ...cacheHeaders(tag), ...CORS_HEADERS],
    }
  } finally {
    await readSnapshot.close()
  }
}
