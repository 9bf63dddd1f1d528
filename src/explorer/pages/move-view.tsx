import type { VerifiedAvatar } from '../../client/index.ts'
import { ArchiveCheck } from '../parts/archive-check.tsx'
import { Icon } from '../parts/icon.tsx'
import { count } from '../data/format.ts'
import { WhereItLives } from '../parts/where-it-lives.tsx'
import { MoveForm } from './move-form.tsx'

/** Back up an avatar, move it to another host, restore it. */
export function MoveView({ avatar, known }: { avatar: string; known: VerifiedAvatar }) {
  const query = new URLSearchParams({ avatar }).toString()
  return (
    <>
      <section aria-labelledby="move-title">
        <h2 id="move-title">Move to another node</h2>
        <p class="lead">
          Your data is yours: every record is signed with your key, so any node can take it, and everyone can check that
          nothing is missing. You need no one’s permission. This host keeps its copy.
        </p>
        {known.records === 0 ? <p class="empty">There is nothing to move yet.</p> : <MoveForm known={known} />}
      </section>
      {known.records > 0 && (
        <section aria-labelledby="take-title">
          <h2 id="take-title">Back up</h2>
          <p class="lead">
            Take it with you: one file with {count(known.records, 'signed record')}. Any node can import it, and
            everyone can check it without a node.
          </p>
          <p class="actions">
            <a class="button" href={`v2/archives?${query}`} download>
              <Icon name="download" /> Download the archive
            </a>
            <a class="button quiet" href={`v2/archives?${query}&gzip=true`} download>
              Compressed
            </a>
            <a class="button quiet" href={`v2/archives?${query}&history=true`} download>
              With the replaced history
            </a>
          </p>
        </section>
      )}
      <WhereItLives known={known} />
      <ArchiveCheck title="Restore" />
    </>
  )
}

export function ArchivesPage() {
  return (
    <>
      <div class="page-head">
        <h1>Archives</h1>
        <p class="lead">
          An archive is a file of signed records. Check an archive here, then import it if you like. To get the archive
          of an avatar, <a href="#/">find the avatar</a> and choose “Move”.
        </p>
      </div>
      <ArchiveCheck title="Check an archive" />
    </>
  )
}
