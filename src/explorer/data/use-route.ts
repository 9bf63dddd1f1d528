import { useEffect, useRef, useState } from 'preact/hooks'
import { parseRoute, type Route } from '../routes.ts'

/** The page that the address names. */
export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash)
  const last = useRef(parseRoute(hash))
  useEffect(() => {
    const changed = (): void => {
      const route = parseRoute(location.hash)
      const isOther = route.page !== last.current.page
      last.current = route
      setHash(location.hash)
      // Screen readers announce another page; within a page the focus stays.
      if (isOther) {
        scrollTo(0, 0)
        document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
      }
    }
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  return parseRoute(hash)
}

export function setTitle(title: string): void {
  document.title = `${title} – avatar-kv explorer`
}
