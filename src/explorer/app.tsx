import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../platform/errors.ts'
import { AppProvider, type ActiveSigner } from './data/app-context.ts'
import { createDrafts } from './data/drafts.ts'
import { here } from './data/here.ts'
import { createOutbox, type Outbox } from './data/outbox.ts'
import { openSession, type Session } from './data/session.ts'
import { setTitle, useRoute } from './data/use-route.ts'
import { AvatarPage } from './pages/avatar-page.tsx'
import { HomePage } from './pages/home-page.tsx'
import { ArchivesPage } from './pages/move-view.tsx'
import { NetworkPage } from './pages/network-page.tsx'
import { WritePage } from './pages/write-page.tsx'
import { Header } from './parts/header.tsx'
import { LeftToDo } from './parts/left-to-do.tsx'
import { Failure, Loading } from './parts/notice.tsx'
import type { Route } from './routes.ts'

const RETRY_MS = 3_000

type Opening =
  | { readonly phase: 'loading' }
  | { readonly phase: 'failed'; readonly message: string }
  | { readonly phase: 'ready'; readonly session: Session; readonly outbox: Outbox }

export function App() {
  const [activeSigner, setActiveSigner] = useState<ActiveSigner | undefined>(undefined)
  const [drafts] = useState(createDrafts)
  const opening = useOpening()
  const route = useRoute()
  const outbox = opening.phase === 'ready' ? opening.outbox : undefined
  useGuard(() => activeSigner?.made !== undefined || drafts.size > 0 || outbox?.isSafe() === false)
  useEffect(() => setTitle(TITLES[route.page]), [route.page])

  return (
    <AppProvider
      value={
        opening.phase === 'ready'
          ? { session: opening.session, outbox: opening.outbox, drafts, activeSigner, setActiveSigner }
          : undefined
      }
    >
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <Header route={route} isReady={opening.phase === 'ready'} />
      <main id="main" tabIndex={-1}>
        {opening.phase === 'loading' && <Loading what="Asking this host" />}
        {opening.phase === 'failed' && (
          <>
            <h1>This host does not answer</h1>
            <Failure title="Nothing can be shown yet" message={opening.message} />
          </>
        )}
        {opening.phase === 'ready' && (
          <>
            {route.page !== 'avatar' && <LeftToDo />}
            <Page route={route} />
          </>
        )}
      </main>
      <footer class="foot">
        {opening.phase === 'ready' && (
          <p>
            Served by {here().replace(/^https?:\/\//, '')}, network {opening.session.network}. <a href="docs">API</a>
          </p>
        )}
      </footer>
    </AppProvider>
  )
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'search':
      return <HomePage query={route.query} />
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
          <p class="lead">
            The address of this page names nothing here. <a href="#/">Go to the start page</a>.
          </p>
        </>
      )
  }
}

/** Opens the session with the host, and tries again by itself. */
function useOpening(): Opening {
  const [opening, setOpening] = useState<Opening>({ phase: 'loading' })
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
  return opening
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

const TITLES: Readonly<Record<Route['page'], string>> = {
  search: 'Avatars',
  avatar: 'Avatar',
  write: 'Connect',
  archives: 'Archives',
  network: 'Network',
  unknown: 'No such page',
}
