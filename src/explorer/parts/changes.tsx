import { useState } from 'preact/hooks'
import type { ValueChange } from '../../client/index.ts'
import { brief, count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'

const SHOWN_CHANGES = 20

interface Props {
  readonly changes: readonly ValueChange[]
  readonly total: number
  /** Whether they are all of one content, so that its name need not be repeated. */
  readonly isPatch: boolean
  readonly isBeforeKnown: boolean
}

/** What changed: for each path the value before and after. Signs and words say it too, not colour alone. */
export function Changes({ changes, total, isPatch, isBeforeKnown }: Props) {
  const [all, setAll] = useState(false)
  const shown = all ? changes : changes.slice(0, SHOWN_CHANGES)
  return (
    <>
      <ul class="changes">
        {shown.map(({ platform, identity, path, before, after }) => (
          <li key={`${platform}\n${identity}\n${path}`}>
            <code class="path">
              {!isPatch && platform !== 'nextid' && `${visible(`${platform}/${identity}`)} `}
              {visible(path)}
            </code>
            {isBeforeKnown && before !== undefined && (
              <code class="before">
                <span class="visually-hidden">before: </span>
                {visible(brief(before))}
              </code>
            )}
            {after !== undefined && (
              <code class="after">
                <span class="visually-hidden">after: </span>
                {visible(brief(after))}
              </code>
            )}
            {after === undefined && !isBeforeKnown && <span class="before">removed</span>}
          </li>
        ))}
      </ul>
      {total > shown.length && (
        <p class="hint">
          {count(total - shown.length, 'more change', 'more changes')}{' '}
          {shown.length < changes.length && (
            <button type="button" class="small" onClick={() => setAll(true)}>
              Show
            </button>
          )}
        </p>
      )}
    </>
  )
}
