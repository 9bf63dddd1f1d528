import type { Route } from '../routes.ts'
import { Connect } from './connect.tsx'
import { SearchBox } from './search-box.tsx'

/** What stands above every page: where one can go, the search, and who signs. */
export function Header({ route, isReady }: { route: Route; isReady: boolean }) {
  const isHome = route.page === 'search'
  return (
    <header class="top">
      <div class="bar">
        <a class="brand" href="#/">
          <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
            <rect width="16" height="16" rx="4.5" fill="currentColor" />
            <path
              d="M4.2 8.3 7 11.1 11.9 5.4"
              fill="none"
              stroke="var(--on-accent)"
              stroke-width="1.8"
              stroke-linecap="round"
              stroke-linejoin="round"
            />
          </svg>
          avatar-kv
        </a>
        <nav aria-label="Pages">
          <NavLink href="#/" name="Avatars" isHere={isHome} />
          <NavLink href="#/network" name="Network" isHere={route.page === 'network'} />
          <NavLink href="#/archives" name="Archives" isHere={route.page === 'archives'} />
        </nav>
        {/* On the start page the search is the page. */}
        {isHome ? <span /> : <SearchBox query="" />}
        {isReady ? <Connect /> : <span />}
      </div>
    </header>
  )
}

function NavLink({ href, name, isHere }: { href: string; name: string; isHere: boolean }) {
  return (
    <a href={href} aria-current={isHere ? 'page' : undefined}>
      {name}
    </a>
  )
}
