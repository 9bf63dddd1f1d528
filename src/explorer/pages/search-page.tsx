import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
import { AvatarLink } from '../parts/avatar-link.tsx'
import { Loading, Trouble } from '../parts/notice.tsx'
import { brief, count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { findByIdentity } from '../data/node-facts.ts'
import { parseQuery } from '../data/query.ts'
import { useAnswer } from '../data/use-answer.ts'
import { avatarHref, searchHref } from '../routes.ts'
import { HeldHere } from './held-here.tsx'

/** As many as a host lists (docs/protocol.md, `GET /v1/kv/by_identity`). */
const MAX_CLAIMS = 100

/** @param after the avatar after which the list of the host's avatars goes on; empty for its first page */
export function SearchPage({ query, after }: { query: string; after: string }) {
  const [text, setText] = useState(query)
  // Before the browser paints: a later effect would overwrite what the person typed meanwhile.
  useLayoutEffect(() => setText(query), [query])
  const parsed = parseQuery(query)
  useEffect(() => {
    if (parsed.kind === 'avatar') location.replace(avatarHref(parsed.avatar))
  }, [query])

  return (
    <>
      <h1>Find an avatar</h1>
      <p class="lead">Read what an avatar says about itself. Every signature is checked in your browser.</p>
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault()
          const next = parseQuery(text)
          location.hash = next.kind === 'avatar' ? avatarHref(next.avatar) : searchHref(text.trim())
        }}
      >
        <label for="search">Avatar, or platform/name</label>
        <div class="row">
          <input
            id="search"
            type="search"
            value={text}
            placeholder="0x02… or twitter/alice"
            autocapitalize="off"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={parsed.kind === 'wrong'}
            aria-describedby="search-help"
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button type="submit" class="primary">
            Find
          </button>
        </div>
        <div id="search-help" aria-live="polite">
          {parsed.kind === 'wrong' && <p class="error">{parsed.message}</p>}
          {parsed.kind === 'wrong' && parsed.guesses.length > 0 && (
            <p>
              Look for{' '}
              {parsed.guesses.map(({ platform, identity }, at) => (
                <span key={platform}>
                  {at > 0 && ' or '}
                  <a href={searchHref(`${platform}/${identity}`)}>{visible(`${platform}/${identity}`)}</a>
                </span>
              ))}
              ?
            </p>
          )}
        </div>
      </form>
      {parsed.kind === 'identity' ? <ByIdentity {...parsed} /> : <HeldHere after={after} />}
    </>
  )
}

function ByIdentity({ platform, identity }: { platform: string; identity: string }) {
  const answer = useAnswer((signal) => findEither(platform, identity, signal), [platform, identity])
  const name = visible(
    eitherOf(identity)
      .map((each) => `${platform}/${each}`)
      .join(' or '),
  )
  if (answer.phase === 'loading') return <Loading what={`Looking for ${name}`} />
  if (answer.phase === 'failed') return <Trouble answer={answer} title="The search failed" />
  const found = answer.value
  return (
    <section aria-labelledby="found" aria-live="polite">
      <h2 id="found">
        {found.length === 0
          ? `Nobody claims ${name}`
          : `${count(found.length, 'avatar claims', 'avatars claim')} ${name}`}
      </h2>
      {found.length === 0 ? (
        <p>No avatar on this host says that it is {name}. Capital and small letters count as different.</p>
      ) : (
        <>
          <p class="hint">
            Avatars claim accounts themselves. Open one to check what it signed.
            {found.length >= MAX_CLAIMS && ` A host lists at most ${MAX_CLAIMS}: there may be more.`}
          </p>
          <ul class="cards">
            {found.map(({ avatar, content }) => (
              <li key={avatar}>
                <AvatarLink avatar={avatar} />
                <code class="brief">{visible(brief(content))}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}

/** Some platforms and some people write names with an `@`. Hosts compare names letter by letter. */
function eitherOf(identity: string): string[] {
  const bare = identity.slice(1).trim()
  return identity.startsWith('@') && bare !== '' ? [identity, bare] : [identity]
}

async function findEither(platform: string, identity: string, signal: AbortSignal) {
  const found = await Promise.all(eitherOf(identity).map((name) => findByIdentity(platform, name, signal)))
  return [...new Map(found.flat().map((each) => [each.avatar, each])).values()]
}
