import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
import { parseAvatar } from '../../client/index.ts'
import { Loading, Notice } from '../parts/notice.tsx'
import { brief, count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { findByIdentity, readAvatars, readStatus } from '../data/node-facts.ts'
import { useAnswer } from '../data/use-answer.ts'
import { avatarHref, searchHref } from '../routes.ts'

const SHOWN_AVATARS = 20

type Query =
  | { readonly kind: 'none' }
  | { readonly kind: 'avatar'; readonly avatar: string }
  | { readonly kind: 'identity'; readonly platform: string; readonly identity: string }
  | { readonly kind: 'wrong'; readonly message: string }

/** What somebody typed: an avatar in any form, or platform/identity. */
function parseQuery(text: string): Query {
  const query = text.trim()
  if (query === '') return { kind: 'none' }
  try {
    return { kind: 'avatar', avatar: parseAvatar(query) }
  } catch {
    // It is no avatar.
  }
  if (/^0x[0-9a-f]{40}$/i.test(query)) {
    const message =
      'That is an Ethereum address. An avatar is the public key behind it, which an address does not tell.'
    return { kind: 'wrong', message: `${message} Whoever holds the key finds their avatar under “Write”.` }
  }
  const [, platform = '', identity = ''] = /^([a-z0-9._-]{1,64})\s*[/:\s]\s*(.+)$/i.exec(query) ?? []
  if (platform !== '' && !/^(0x)?[0-9a-f]{40,}$/i.test(query)) {
    return { kind: 'identity', platform: platform.toLowerCase(), identity: identity.trim() }
  }
  return {
    kind: 'wrong',
    message:
      'Type an avatar (a public key: 66 hex digits that begin with 02 or 03, or 130 that begin with 04, with or without 0x), or an account as platform/name, such as twitter/alice.',
  }
}

export function SearchPage({ query }: { query: string }) {
  const [text, setText] = useState(query)
  // Before anybody can type on: an effect after the picture would overwrite what was typed meanwhile.
  useLayoutEffect(() => setText(query), [query])
  const parsed = parseQuery(query)
  useEffect(() => {
    if (parsed.kind === 'avatar') location.replace(avatarHref(parsed.avatar))
  }, [query])

  return (
    <>
      <h1>Find an avatar</h1>
      <p class="lead">See what an avatar says of itself, check every signature in your browser, and change your own.</p>
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
        </div>
      </form>
      {parsed.kind === 'identity' ? <ByIdentity {...parsed} /> : <HeldHere />}
    </>
  )
}

function ByIdentity({ platform, identity }: { platform: string; identity: string }) {
  const answer = useAnswer((signal) => findEither(platform, identity, signal), [platform, identity])
  const name = eitherOf(identity)
    .map((each) => `${platform}/${each}`)
    .join(' or ')
  if (answer.phase === 'loading') return <Loading what={`Looking for ${name}`} />
  if (answer.phase === 'failed')
    return (
      <Notice tone="bad" title="The search failed">
        {answer.message}
      </Notice>
    )
  const found = answer.value
  return (
    <section aria-labelledby="found" aria-live="polite">
      <h2 id="found">
        {found.length === 0
          ? `Nobody claims ${name}`
          : `${count(found.length, 'avatar claims', 'avatars claim')} ${name}`}
      </h2>
      {found.length === 0 ? (
        <p>No avatar that this host keeps says that it is {name}. Names are compared letter by letter.</p>
      ) : (
        <>
          <p class="hint">Avatars claim accounts themselves. Open one to check what it signed.</p>
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

/** Some platforms write names with an `@`, and some people do; hosts compare letter by letter. */
function eitherOf(identity: string): string[] {
  const bare = identity.slice(1).trim()
  return identity.startsWith('@') && bare !== '' ? [identity, bare] : [identity]
}

async function findEither(platform: string, identity: string, signal: AbortSignal) {
  const found = await Promise.all(eitherOf(identity).map((name) => findByIdentity(platform, name, signal)))
  return [...new Map(found.flat().map((each) => [each.avatar, each])).values()]
}

function HeldHere() {
  const answer = useAnswer(async (signal) => {
    const [status, avatars] = await Promise.all([readStatus(signal), readAvatars(SHOWN_AVATARS, signal)])
    return { total: Math.max(status.avatars, avatars.length), avatars }
  }, [])
  if (answer.phase === 'loading') return <Loading what="Asking this host" />
  if (answer.phase === 'failed')
    return (
      <Notice tone="warn" title="This host does not answer">
        {answer.message}
      </Notice>
    )
  const { total, avatars } = answer.value
  if (avatars.length === 0) {
    return (
      <section class="empty">
        <h2>Nothing here yet</h2>
        <p>
          This host keeps no avatar so far. <a href="#/write">Write the first</a>, or{' '}
          <a href="#/archives">bring an archive</a>.
        </p>
      </section>
    )
  }
  return (
    <section aria-labelledby="held">
      <h2 id="held">Kept by this host</h2>
      <p class="hint">
        {count(total, 'avatar')} in all
        {total > avatars.length && `; the first ${avatars.length}`}.
      </p>
      <ul class="cards">
        {avatars.map((avatar) => (
          <li key={avatar}>
            <AvatarLink avatar={avatar} />
          </li>
        ))}
      </ul>
    </section>
  )
}

/** Hosts of version 1 name avatars uncompressed. */
function AvatarLink({ avatar }: { avatar: string }) {
  let canonical = avatar
  try {
    canonical = parseAvatar(avatar)
  } catch {
    return <span>A host sent what is no avatar.</span>
  }
  return (
    <span class="avatar-link">
      <a href={avatarHref(canonical)}>
        <code>{`${canonical.slice(0, 14)}…${canonical.slice(-8)}`}</code>
      </a>
    </span>
  )
}
