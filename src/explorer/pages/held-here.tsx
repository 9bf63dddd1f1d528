import { AvatarLink } from '../parts/avatar-link.tsx'
import { Loading, Trouble } from '../parts/notice.tsx'
import { count } from '../data/format.ts'
import { readAvatars, readStatus } from '../data/node-facts.ts'
import { useAnswer } from '../data/use-answer.ts'
import { listHref } from '../routes.ts'

const PAGE_AVATARS = 20

/**
 * The avatars that this host holds, page by page.
 *
 * @param after the last avatar of the page before; empty for the first page
 */
export function HeldHere({ after }: { after: string }) {
  const answer = useAnswer(
    async (signal) => {
      const [status, page] = await Promise.all([readStatus(signal), readAvatars(PAGE_AVATARS, after, signal)])
      return { ...page, total: status.avatars }
    },
    [after],
  )
  if (answer.phase === 'loading') return <Loading what="Asking this host" />
  if (answer.phase === 'failed') {
    return (
      <>
        <Trouble answer={answer} title="This host does not list its avatars" />
        {after !== '' && (
          <p>
            <a href="#/">Go to the first page</a>
          </p>
        )}
      </>
    )
  }
  const { avatars, next, total } = answer.value
  if (avatars.length === 0) return after === '' ? <NothingYet /> : <NoMore />
  // The host says that there is a next page where this one is full and happens to be the last.
  const isLast = next === null || (after === '' && avatars.length >= total)
  return (
    <section aria-labelledby="held">
      <h2 id="held">Avatars on this host</h2>
      <p class="hint">
        {count(Math.max(total, avatars.length), 'avatar')} in all
        {!(isLast && after === '') && `, ${PAGE_AVATARS} on a page, in order of their keys`}.
      </p>
      <ul class="cards">
        {avatars.map((avatar) => (
          <li key={avatar}>
            <AvatarLink avatar={avatar} />
          </li>
        ))}
      </ul>
      <nav class="row pages" aria-label="Pages of the list">
        {after !== '' && (
          <a class="button" href="#/">
            First page
          </a>
        )}
        {!isLast && (
          <a class="button" href={listHref(next)}>
            Next page
          </a>
        )}
        {isLast && after !== '' && <span class="hint">This is the last page.</span>}
      </nav>
    </section>
  )
}

function NothingYet() {
  return (
    <section class="empty">
      <h2>Nothing here yet</h2>
      <p>
        This host keeps no avatar so far. <a href="#/write">Write the first one</a>, or{' '}
        <a href="#/archives">import an archive</a>.
      </p>
    </section>
  )
}

function NoMore() {
  return (
    <section class="empty">
      <h2>No more avatars</h2>
      <p>
        The list ends before this page. <a href="#/">Go to the first page</a>.
      </p>
    </section>
  )
}
