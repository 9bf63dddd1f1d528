import { Loading, Trouble } from '../parts/notice.tsx'
import { Person } from '../parts/person.tsx'
import { parseAvatar } from '../../client/index.ts'
import { attempt } from '../data/attempt.ts'
import { brief, count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { findByIdentity } from '../data/node-facts.ts'
import { readNamed } from '../data/overview.ts'
import type { Account } from '../data/profile-url.ts'
import { useAnswer } from '../data/use-answer.ts'
import { useListed } from '../data/use-listed.ts'
import { NO_PROFILE } from '../data/use-profile.ts'
import { searchHref } from '../routes.ts'

/** As many as a host lists (docs/protocol.md, `GET /v1/kv/by_identity`). */
const MAX_CLAIMS = 100
/** Avatars whose names are looked at: 2 MB of profiles without pictures, or 40 requests. */
const MAX_NAMES = 2_000
const MAX_FOUND = 100

/** Avatars that claim an account. */
export function ByIdentity({ platform, identity }: Account) {
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
        <p class="hint">No avatar on this host says that it is {name}. Capital and small letters count as different.</p>
      ) : (
        <>
          <p class="hint">
            Avatars claim accounts themselves. Open one to check what it signed.
            {found.length >= MAX_CLAIMS && ` A host lists at most ${MAX_CLAIMS}: there may be more.`}
          </p>
          <ul class="cards">
            {found.map(({ avatar, content, profile }) => (
              <li key={avatar}>
                <Person avatar={avatar} profile={profile} />
                <code class="brief">{visible(brief(content))}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}

/** Avatars whose profile has these words in its name. */
export function ByName({ name, guesses }: { name: string; guesses: readonly Account[] }) {
  const { avatars, isAll, isLoading, trouble } = useListed(MAX_NAMES)
  const found = avatars.filter(({ profile }) => isIn(name, profile.name)).slice(0, MAX_FOUND)
  return (
    <section aria-labelledby="found" aria-live="polite">
      <h2 id="found">
        {found.length === 0 ? (isLoading ? 'Looking for' : 'No avatar is named') : count(found.length, 'avatar')}{' '}
        {found.length > 0 && 'with the name '}“{visible(name)}”
      </h2>
      <Guesses guesses={guesses} />
      {isLoading && <p class="hint">{count(avatars.length, 'avatar')} looked at so far…</p>}
      {!isLoading && !isAll && (
        <p class="hint">
          This host has more than {MAX_NAMES.toLocaleString('en')} avatars. The names of the others were not looked at.
        </p>
      )}
      {trouble !== undefined && <p class="error">{trouble} This page tries again by itself.</p>}
      <ul class="cards">
        {found.map(({ avatar, profile }) => (
          <li key={avatar}>
            <Person avatar={avatar} profile={profile} />
            {profile.bio !== null && (
              <bdi class="brief" dir="auto">
                {visible(profile.bio)}
              </bdi>
            )}
          </li>
        ))}
      </ul>
      {!isLoading && found.length === 0 && (
        <p class="hint">
          Only names in profiles of this host are looked at. An account is written as platform/name, such as
          twitter/alice.
        </p>
      )}
    </section>
  )
}

/** Accounts that a person may have meant by a word. A word alone never means the platform of that name. */
export function Guesses({ guesses }: { guesses: readonly Account[] }) {
  if (guesses.length === 0) return null
  return (
    <p class="hint">
      Is it an account? Look for{' '}
      {guesses.map(({ platform, identity }, at) => (
        <span key={platform}>
          {at > 0 && ' or '}
          <a href={searchHref(`${platform}/${identity}`)}>{visible(`${platform}/${identity}`)}</a>
        </span>
      ))}
      .
    </p>
  )
}

export function isIn(words: string, name: string | null): boolean {
  const plain = (text: string): string => text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase()
  return name !== null && plain(name).includes(plain(words))
}

/** Some platforms and some people write names with an `@`. Hosts compare names letter by letter. */
function eitherOf(identity: string): string[] {
  const bare = identity.slice(1).trim()
  return identity.startsWith('@') && bare !== '' ? [identity, bare] : [identity]
}

async function findEither(platform: string, identity: string, signal: AbortSignal) {
  const found = await Promise.all(eitherOf(identity).map((name) => findByIdentity(platform, name, signal)))
  // Version 1 names avatars by their uncompressed keys.
  const claims = found.flat().flatMap(({ avatar, content }) => {
    const canonical = attempt(() => parseAvatar(avatar))
    return canonical === undefined ? [] : [[canonical as string, content] as const]
  })
  const contents = new Map(claims.slice(0, MAX_CLAIMS))
  const known = await readNamed([...contents.keys()], signal).catch(() => new Map<string, never>())
  return [...contents].map(([avatar, content]) => ({
    avatar,
    content,
    profile: known.get(avatar)?.profile ?? NO_PROFILE,
  }))
}
