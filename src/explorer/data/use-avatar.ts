import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { pause } from '../../client/deadline.ts'
import { ClientError, type StateEntry, type VerifiedAvatar } from '../../client/index.ts'
import type { Session } from './session.ts'

export type AvatarView =
  | {
      readonly phase: 'loading'
      readonly done: number
      readonly total: number
      /** What the host says, not checked; undefined until it is here. */
      readonly claimed?: readonly StateEntry[] | undefined
    }
  | { readonly phase: 'failed'; readonly message: string; readonly isOffline: boolean }
  | {
      readonly phase: 'ready'
      readonly known: VerifiedAvatar
      readonly connection: 'connecting' | 'live' | 'lost'
      /** When the content was last read and verified, in ms since 1970. */
      readonly verifiedAt: number
      /** Of a lost connection: the error, if the host did answer. */
      readonly trouble: string | undefined
      /** For screen readers. */
      readonly news: string
      /** Ids of records that arrived while the page was open. */
      readonly arrived: ReadonlySet<string>
    }

const RETRY_MS = 3_000
/** One host is followed. The other hosts are asked at this interval whether they have more. */
const COMPARE_MS = 15_000

/** Reads an avatar, verifies it in the browser, and follows it for as long as it is shown. */
export function useAvatar({ client, others }: Session, avatar: string): AvatarView {
  const [view, setView] = useState<AvatarView>({ phase: 'loading', done: 0, total: 0 })
  useEffect(() => {
    const stop = new AbortController()
    let isStale = false
    let comparing: Promise<void> | undefined
    setView({ phase: 'loading', done: 0, total: 0 })
    void follow(stop.signal)
    void claim(stop.signal)
    const timer = others.length === 0 ? undefined : setInterval(() => document.hidden || holdAgainstAll(), COMPARE_MS)
    return () => {
      clearInterval(timer)
      stop.abort()
    }

    async function follow(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        try {
          await readOnce(signal)
          await watch(signal)
        } catch (error) {
          if (signal.aborted) return
          const isOffline = error instanceof ClientError && error.code === 'unreachable'
          setView((view) =>
            view.phase === 'ready'
              ? { ...view, connection: 'lost', trouble: isOffline ? undefined : messageOf(error) }
              : { phase: 'failed', message: messageOf(error), isOffline },
          )
          await pause(RETRY_MS, [signal])
        }
      }
    }

    /** Shows what the host says while the signatures are checked. */
    async function claim(signal: AbortSignal): Promise<void> {
      // What goes wrong is told by the read that verifies.
      const said = await client.get(avatar, { signal }).catch(() => undefined)
      if (said === undefined || signal.aborted) return
      setView((view) => (view.phase === 'loading' ? { ...view, claimed: said.namespaces } : view))
    }

    async function readOnce(signal: AbortSignal): Promise<void> {
      const known = await client.getVerified(avatar, {
        // The page edits what it shows.
        linked: false,
        signal,
        onProgress: ({ done, total }) =>
          setView((view) => (view.phase === 'loading' ? { ...view, done, total } : view)),
      })
      setView((view) => (view.phase === 'ready' ? { ...view, known, verifiedAt: Date.now() } : ready(known)))
    }

    /** Asks all hosts once more, and again for what arrived meanwhile. */
    function holdAgainstAll(): void {
      isStale = true
      comparing ??= compare().finally(() => (comparing = undefined))
    }

    async function compare(): Promise<void> {
      while (isStale && !stop.signal.aborted) {
        isStale = false
        // Where no host answers, the event stream breaks too, and tells.
        await readOnce(stop.signal).catch(() => {})
      }
    }

    async function watch(signal: AbortSignal): Promise<void> {
      for await (const event of client.watch(avatar, { signal })) {
        setView((view) => {
          const before = view.phase === 'ready' ? view : undefined
          if (event.type === 'connection') {
            return before === undefined ? view : { ...before, connection: event.status, trouble: undefined }
          }
          if (event.type === 'superseded') return view
          if (others.length > 0) holdAgainstAll()
          const next = before ?? ready(event.state)
          const verifiedAt = Date.now()
          if (event.type === 'state') return { ...next, known: event.state, verifiedAt }
          const arrived = new Set([...next.arrived, ...event.records.map(({ id }) => id)])
          const news = `Updated: ${event.records.length === 1 ? 'one new record' : `${event.records.length} new records`}, signature checked.`
          return { ...next, known: event.state, verifiedAt, news, arrived }
        })
      }
    }
  }, [client, others, avatar])
  return view
}

function ready(known: VerifiedAvatar): AvatarView & { phase: 'ready' } {
  return {
    phase: 'ready',
    known,
    connection: 'connecting',
    verifiedAt: Date.now(),
    trouble: undefined,
    news: '',
    arrived: new Set(),
  }
}
