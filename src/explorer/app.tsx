import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../platform/errors.ts'
import { AppProvider, type ActiveSigner } from './data/app-context.ts'
import { createDrafts } from './data/drafts.ts'
import { here } from './data/here.ts'
import { createOutbox, type Outbox } from './data/outbox.ts'
import { openSession, type Session } from './data/session.ts'
import { AvatarPage } from './pages/avatar-page.tsx'
import { ArchivesPage } from './pages/move-view.tsx'
import { NetworkPage } from './pages/network-page.tsx'
import { SearchPage } from './pages/search-page.tsx'
import { WritePage } from './pages/write-page.tsx'
import { LeftToDo } from './parts/left-to-do.tsx'
import { Failure, Loading } from './parts/notice.tsx'
import { avatarHref, parseRoute, type Route } from './routes.ts'

const RETRY_MS = 3_000

type Opening =
  | { readonly phase: 'loading' }
  | { readonly phase: 'failed'; readonly message: string }
  | { readonly phase: 'ready'; readonly session: Session; readonly outbox: Outbox }

export function App() {
  const [opening, setOpening] = useState<Opening>({ phase: 'loading' })
  const [activeSigner, setActiveSigner] = useState<ActiveSigner | undefined>(undefined)
  const [drafts] = useState(createDrafts)
  const route = useRoute()
  const outbox = opening.phase === 'ready' ? opening.outbox : undefined
  useGuard(() => activeSigner?.made !== undefined || drafts.size > 0 || outbox?.isSafe() === false)

  useEffect(() => {
    const stop = new AbortController()
    const { signal } = stop
    let timer: ReturnType<typeof setTimeout> | undefined
    const open = async (): Promise<void> => {
      try {
        const session = await openSession(signal)
        setOpening({ phase: 'ready', session, outbox: createOutbox(session.network, signal) })
      } catch (error) {
        if (signal.aborted) return
        setOpening({ phase: 'failed', message: messageOf(error) })
        timer = setTimeout(() => void open(), RETRY_MS)
      }
    }
    void open()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [])

  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <header>
        <a class="brand" href="#/">
          avatar-kv
        </a>
        <nav aria-label="Pages">
          <NavLink href="#/" name="Search" isHere={route.page === 'search'} />
          <NavLink href="#/write" name="Write" isHere={route.page === 'write'} />
          <NavLink href="#/archives" name="Archives" isHere={route.page === 'archives'} />
          <NavLink href="#/network" name="Network" isHere={route.page === 'network'} />
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {opening.phase === 'loading' && <Loading what="Asking this host" />}
        {opening.phase === 'failed' && (
          <>
            <h1>This host does not answer</h1>
            <Failure title="Nothing can be shown yet" message={opening.message} />
          </>
        )}
        {opening.phase === 'ready' && (
          <AppProvider
            value={{ session: opening.session, outbox: opening.outbox, drafts, activeSigner, setActiveSigner }}
          >
            {route.page !== 'avatar' && <LeftToDo />}
            <Page route={route} />
          </AppProvider>
        )}
      </main>
      <footer>{opening.phase === 'ready' && <Footer session={opening.session} activeSigner={activeSigner} />}</footer>
    </>
  )
}

function Footer({ session, activeSigner }: { session: Session; activeSigner: ActiveSigner | undefined }) {
  return (
    <p>
      Served by {here().replace(/^https?:\/\//, '')}, network {session.network}. <a href="docs">API</a>
      {activeSigner !== undefined && (
        <>
          {' '}
          · <a href={avatarHref(activeSigner.signer.avatar)}>my avatar</a>
        </>
      )}
    </p>
  )
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'search':
      return <SearchPage query={route.query} after={route.after} />
    case 'avatar':
      return <AvatarPage avatar={route.avatar} tab={route.tab} focus={route.focus} />
    case 'write':
      return <WritePage />
    case 'archives':
      return <ArchivesPage />
    case 'network':
      return <NetworkPage />
    case 'unknown':
      return (
        <>
          <h1>There is no such page</h1>
          <p>
            <a href="#/">Search</a> for an avatar instead.
          </p>
        </>
      )
  }
}

function NavLink({ href, name, isHere }: { href: string; name: string; isHere: boolean }) {
  return (
    <a href={href} aria-current={isHere ? 'page' : undefined}>
      {name}
    </a>
  )
}

/** Asks before the page is left if that would lose something that is only in its memory. The browser words the question. */
function useGuard(hasUnsaved: () => boolean): void {
  const latest = useRef(hasUnsaved)
  latest.current = hasUnsaved
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent): void => {
      if (latest.current()) event.preventDefault()
    }
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [])
}

/** The text behind `#` names the page, so a jump within the page must not change it. */
function skipToMain(event: Event): void {
  event.preventDefault()
  document.querySelector<HTMLElement>('main')?.focus()
}

function useRoute(): Route {
  const [hash, setHash] = useState(location.hash)
  const last = useRef(parseRoute(hash))
  useEffect(() => {
    const changed = (): void => {
      const route = parseRoute(location.hash)
      const isOther = route.page !== last.current.page
      last.current = route
      setHash(location.hash)
      document.title = `${TITLES[route.page]} – avatar-kv explorer`
      // Screen readers announce another page; within a page the focus stays.
      if (isOther) {
        scrollTo(0, 0)
        document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
      }
    }
    addEventListener('hashchange', changed)
    document.title = `${TITLES[last.current.page]} – avatar-kv explorer`
    return () => removeEventListener('hashchange', changed)
  }, [])
  return parseRoute(hash)
}

const TITLES: Readonly<Record<Route['page'], string>> = {
  search: 'Search',
  avatar: 'Avatar',
  write: 'Write',
  archives: 'Archives',
  network: 'Network',
  unknown: 'No such page',
}
