import type { ComponentChildren } from 'preact'
import { useChanges } from '../data/app-context.ts'
import { shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import { statementsOf } from '../data/verdict.ts'
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
  const isShort = isCompact && rest.length > MAX_ROWS_COMPACT
  const details = (
    <>
      {rest.map((each) => (
        <Row key={each.title} item={each} isOpen={each.isTask === true && !isCompact} />
      ))}
      {view.phase === 'ready' && <HowChecked known={view.known} />}
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
