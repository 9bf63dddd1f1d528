import { useEffect } from 'preact/hooks'
import { SearchBox } from '../parts/search-box.tsx'
import { parseQuery } from '../data/query.ts'
import { avatarHref } from '../routes.ts'
import { ByIdentity, ByName, Guesses } from './found.tsx'
import { LatestActivity, NodeNumbers } from './node-now.tsx'
import { AvatarsHere } from './avatars-here.tsx'

/** The start page: the search, and what this host has. */
export function HomePage({ query }: { query: string }) {
  const parsed = parseQuery(query)
  useEffect(() => {
    if (parsed.kind === 'avatar') location.replace(avatarHref(parsed.avatar))
  }, [query])
  return (
    <>
      <div class="hero">
        <h1>{query === '' ? 'Data that its owner signed' : 'Find an avatar'}</h1>
        {query === '' && (
          <p class="lead">Everything here is signed by the person that it belongs to. Your browser checks it.</p>
        )}
        <SearchBox query={query} isLarge />
        <div id="search-help" aria-live="polite">
          {parsed.kind === 'wrong' && <p class="error">{parsed.message}</p>}
          {parsed.kind === 'wrong' && <Guesses guesses={parsed.guesses} />}
        </div>
      </div>
      {parsed.kind === 'identity' && <ByIdentity key={query} {...parsed} />}
      {parsed.kind === 'name' && <ByName key={query} {...parsed} />}
      {parsed.kind === 'none' && (
        <>
          <NodeNumbers />
          <LatestActivity />
          <AvatarsHere />
        </>
      )}
    </>
  )
}
