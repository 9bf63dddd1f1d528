import type { VerifiedAvatar } from '../../client/index.ts'
import { ArchiveCheck } from '../parts/archive-check.tsx'
import { WhereItLives } from '../parts/where-it-lives.tsx'
import { count } from '../data/format.ts'

export function MoveView({ avatar, known }: { avatar: string; known: VerifiedAvatar }) {
  const query = new URLSearchParams({ avatar }).toString()
  return (
    <>
      <section aria-labelledby="take-title">
        <h2 id="take-title">Take it with you</h2>
        {known.records === 0 ? (
          <p class="empty">There is nothing to take yet.</p>
        ) : (
          <>
            <p>
              The archive holds {count(known.records, 'signed record')}. Any host can import it, and everyone can check
              it without a host.
            </p>
            <p class="row">
              <a class="button primary" href={`v2/archives?${query}`} download>
                Download the archive
              </a>
              <a class="button" href={`v2/archives?${query}&gzip=true`} download>
                Compressed
              </a>
              <a class="button" href={`v2/archives?${query}&history=true`} download>
                With the replaced history
              </a>
            </p>
          </>
        )}
      </section>
      <WhereItLives known={known} />
      <ArchiveCheck />
    </>
  )
}

export function ArchivesPage() {
  return (
    <>
      <h1>Archives</h1>
      <p class="lead">
        An archive is a file of signed records. Check an archive here, then import it if you like. To get the archive of
        an avatar, <a href="#/">find the avatar</a> and choose “Move”.
      </p>
      <ArchiveCheck />
    </>
  )
}
