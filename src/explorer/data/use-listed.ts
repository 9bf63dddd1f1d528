import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { readListed, type Listed } from './overview.ts'

/** Avatars asked for at once. */
const PAGE = 50
const RETRY_MS = 3_000

export interface Listing {
  readonly avatars: readonly Listed[]
  /** Whether these are all. */
  readonly isAll: boolean
  readonly isLoading: boolean
  /** Why the last attempt failed. It is repeated by itself. */
  readonly trouble: string | undefined
}

/** The avatars of the host, from the first on. @param wanted how many, at least if the host has so many */
export function useListed(wanted: number): Listing {
  const [avatars, setAvatars] = useState<readonly Listed[]>([])
  const [next, setNext] = useState<string | null>('')
  const [trouble, setTrouble] = useState<string | undefined>(undefined)
  const [attempt, setAttempt] = useState(0)
  const isLoading = next !== null && avatars.length < wanted
  useEffect(() => {
    if (next === null || !isLoading) return
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const again = (): void => {
      clearTimeout(timer)
      setAttempt((n) => n + 1)
    }
    readListed(PAGE, next, stop.signal).then(
      (page) => {
        if (stop.signal.aborted) return
        setTrouble(undefined)
        setAvatars((before) => [...new Map([...before, ...page.avatars].map((each) => [each.avatar, each])).values()])
        // A host whose pages have no end is not read for ever.
        setNext(page.next === next ? null : page.next)
      },
      (error: unknown) => {
        if (stop.signal.aborted) return
        setTrouble(messageOf(error))
        timer = setTimeout(again, RETRY_MS)
      },
    )
    addEventListener('online', again, { signal: stop.signal })
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [next, isLoading, attempt])
  return { avatars, isAll: next === null, isLoading, trouble }
}
