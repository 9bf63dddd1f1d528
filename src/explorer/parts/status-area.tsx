import type { ComponentChildren } from 'preact'
import { useChanges } from '../data/app-context.ts'
import { shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import { statementsOf } from '../data/verdict.ts'
import { Compare } from './compare.tsx'
import { HowChecked } from './hosts-table.tsx'
import { Sign, type Tone } from './notice.tsx'
import { DeclinedChanges, declinedTitle, isSafe, WaitingChanges, waitingTitle } from './waiting-list.tsx'

interface Item {
  readonly tone: Tone
  readonly title: string
  readonly body: ComponentChildren
  /** Whether the person has to do something. */
  readonly isTask?: boolean
}

const MAX_ROWS_COMPACT = 1
const SEVERITY: readonly Tone[] = ['bad', 'warn', 'info', 'good']

interface Props {
  readonly avatar: string
  readonly view: AvatarView
  /** Folds more than two statements into one line, so that the editor below stays in sight. */
  readonly isCompact: boolean
}

/** All statements about an avatar in one place: the worst in full, each other one as a line that can be opened. */
export function StatusArea({ avatar, view, isCompact }: Props) {
  const { waiting, declined } = useChanges(avatar)
  const items: Item[] = [...viewItems(view)]
  if (declined.length > 0) {
    const body = <DeclinedChanges records={declined} />
    items.push({ tone: 'warn', title: declinedTitle(declined), body, isTask: true })
  }
  if (waiting.length > 0) {
    const [tone, body] = [isSafe(waiting) ? 'info' : 'warn', <WaitingChanges records={waiting} />] as const
    items.push({ tone, title: waitingTitle(waiting), body, isTask: tone === 'warn' })
  }
  const [first, ...rest] = items.sort((a, b) => SEVERITY.indexOf(a.tone) - SEVERITY.indexOf(b.tone))
  if (first === undefined) return null
  if (first.tone === 'good' && rest.length === 0 && view.phase === 'ready')
    return <TrustChip first={first} view={view} />
  const isShort = isCompact && rest.length > MAX_ROWS_COMPACT
  const details = (
    <>
      {rest.map((each) => (
        <Row key={each.title} item={each} isOpen={each.isTask === true && !isCompact} />
      ))}
      {view.phase === 'ready' && (
        <details>
          <summary>What this means, and which hosts were asked</summary>
          <HowChecked known={view.known} />
          <Compare />
        </details>
      )}
    </>
  )
  return (
    <section class={`status ${first.tone}`} aria-label="Status">
      <div class="notice-line" role="status">
        <Sign tone={first.tone} />
        <div>
          <p class="notice-title">{first.title}</p>
          {!isShort && first.body}
        </div>
      </div>
      {isShort ? (
        <details>
          <summary>Details, and {rest.length} more notes</summary>
          {first.body}
          {details}
        </details>
      ) : (
        details
      )}
    </section>
  )
}

/** All is well: one line, which opens to say what that means. */
function TrustChip({ first, view }: { first: Item; view: Extract<AvatarView, { phase: 'ready' }> }) {
  const { nodes } = view.known
  const equal = nodes.filter(({ standing }) => standing === 'equal').length
  const isUnanimous = equal === nodes.length
  return (
    <section class="status trust good" aria-label="Status">
      {/* What another host lacks is why the person compared. */}
      <details open={!isUnanimous}>
        <summary>
          <Sign tone="good" />
          <span>
            <span class="notice-title" role="status">
              {first.title}
            </span>{' '}
            · {nodes.length === 1 ? 'this node' : isUnanimous ? `${equal} nodes` : `${equal} of ${nodes.length} nodes`}
          </span>
        </summary>
        <div class="trust-body">
          {first.body}
          <h2 class="visually-hidden">What this means, and which hosts were asked</h2>
          <HowChecked known={view.known} />
          <Compare />
        </div>
      </details>
    </section>
  )
}

/** What is known of the content before its signatures have been checked. */
export function Checking({ done, total, hasContent }: { done: number; total: number; hasContent: boolean }) {
  const what =
    total === 0
      ? 'Fetching records'
      : `Checking signatures: ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`
  return (
    <div class="checking" role="status">
      <p>
        {hasContent && <strong>Not yet checked. </strong>}
        {what}
      </p>
      {total > 0 ? <progress value={done} max={total} aria-label={what} /> : <progress aria-label={what} />}
    </div>
  )
}

function Row({ item, isOpen }: { item: Item; isOpen: boolean }) {
  return (
    <details class="status-row" open={isOpen}>
      <summary>
        <Sign tone={item.tone} /> {item.title}
      </summary>
      {item.body}
    </details>
  )
}

function viewItems(view: AvatarView): Item[] {
  if (view.phase === 'loading') return []
  if (view.phase === 'failed') {
    const body = (
      <>
        <p>{visible(view.message)}</p>
        <p>This page tries again by itself. You need not reload it.</p>
      </>
    )
    const title = view.isOffline ? 'No host answers' : 'This avatar could not be read'
    return [{ tone: 'bad', title, body }]
  }
  return statementsOf(view).map(({ tone, title, text, lines = [] }) => ({
    tone,
    title,
    body: (
      <>
        <p>{text}</p>
        {lines.length > 0 && (
          <ul>
            {lines.map((each) => (
              <li key={each}>
                {/^0x[0-9a-f]{64}$/.test(each) ? <code title={each}>{shortHex(each)}</code> : visible(each)}
              </li>
            ))}
          </ul>
        )}
      </>
    ),
  }))
}
