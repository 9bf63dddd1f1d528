import { useEffect, useRef, useState } from 'preact/hooks'
import type { HistoryEntry } from '../../client/index.ts'
import { Ago } from '../parts/ago.tsx'
import { Changes } from '../parts/changes.tsx'
import { Copy, Hex } from '../parts/hex.tsx'
import { BranchLines } from '../parts/branch-lines.tsx'
import { count, moment, shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import type { Lane } from '../data/lanes.ts'
import { avatarHref } from '../routes.ts'

const SHOWN_MISSING = 5
/** Keys that the line of a record names. */
const SHOWN_KEYS = 3

interface Props {
  readonly entry: HistoryEntry
  readonly avatar: string
  /** The day, where it is another than that of the record above. */
  readonly day: string | undefined
  readonly lane: Lane | undefined
  readonly isNew: boolean
  readonly isChosen: boolean
  /** How many records cite it. */
  readonly branches: number
  /** How many records a snapshot replaced. */
  readonly replaced: number
  readonly missing: readonly string[]
}

/** One record on one line, which opens to what it changed. */
export function HistoryRow({ entry, avatar, day, lane, isNew, isChosen, branches, replaced, missing }: Props) {
  const place = useRef<HTMLLIElement>(null)
  // Of 50 records the texts may take many megabytes: only those that are opened are in the page.
  const [isOpen, setIsOpen] = useState(isChosen)
  useEffect(() => {
    if (!isChosen) return
    setIsOpen(true)
    place.current?.scrollIntoView({ block: 'center' })
    place.current?.focus()
  }, [isChosen])
  const { counter, created_at, status, prev } = entry
  return (
    <>
      {day !== undefined && (
        <li class="day">
          <h3>{day}</h3>
        </li>
      )}
      <li ref={place} tabIndex={-1} class={`entry ${status}${isChosen ? ' chosen' : ''}${isNew ? ' new' : ''}`}>
        {lane !== undefined && <BranchLines lane={lane} />}
        <details open={isOpen} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
          <summary>
            <span class="number">{counter}</span>
            <span class="what">{lineOf(entry)}</span>
            <span class="tags">
              {isNew && <span class="tag good">just arrived</span>}
              {status === 'pending' && <span class="tag warn">gap: it waits for missing records</span>}
              {status === 'superseded' && <span class="tag">replaced by a snapshot</span>}
              {prev.length > 1 && <span class="tag info">joins {prev.length} branches</span>}
              {branches > 1 && <span class="tag info">fork: {branches} changes from here</span>}
            </span>
            <Ago unixSeconds={created_at} />
          </summary>
          {isOpen && <Opened entry={entry} avatar={avatar} missing={missing} replaced={replaced} isChosen={isChosen} />}
        </details>
      </li>
    </>
  )
}

function lineOf({ type, platform, identity, changes, changesTotal }: HistoryEntry) {
  if (type === 'part') return 'Part of a snapshot'
  if (type === 'snapshot') return 'Snapshot'
  const where = platform === null || platform === 'nextid' ? '' : ` of ${visible(`${platform}/${identity ?? ''}`)}`
  if (changes.length === 0) return `Changed nothing${where}`
  const removes = changes.every(({ after }) => after === undefined)
  const more = changesTotal - SHOWN_KEYS
  return (
    <>
      {removes ? 'Removed' : 'Changed'}{' '}
      <code>
        {visible(
          changes
            .slice(0, SHOWN_KEYS)
            .map(({ path }) => path.slice(1))
            .join(', '),
        )}
      </code>
      {more > 0 && ` and ${more.toLocaleString('en')} more`}
      {where}
    </>
  )
}

type OpenedProps = Pick<Props, 'entry' | 'avatar' | 'missing' | 'replaced' | 'isChosen'>

function Opened({ entry, avatar, missing, replaced, isChosen }: OpenedProps) {
  const { id, type, created_at, status, prev, changes, changesTotal, isBeforeKnown } = entry
  const [isRawOpen, setIsRawOpen] = useState(isChosen)
  return (
    <div class="opened">
      {missing.length > 0 && status === 'pending' && (
        <p>
          No host has{' '}
          {missing.slice(0, SHOWN_MISSING).map((each) => (
            <code key={each} title={each}>
              {shortHex(each)}{' '}
            </code>
          ))}
          {missing.length > SHOWN_MISSING && `and ${missing.length - SHOWN_MISSING} more `}
          on which it builds.
        </p>
      )}
      {type === 'snapshot' && isBeforeKnown && (
        <p>
          It replaces {replaced === 0 ? 'the records' : count(replaced, 'record')} before it
          {changes.length === 0 ? ', and no value changed.' : '.'}
        </p>
      )}
      {!isBeforeKnown && (
        <p class="hint">
          {type === 'snapshot' ? 'It replaces the records before it' : 'Records before it are gone'}, which this host no
          longer has. These are the values that it sets. What stood there before is not known.
        </p>
      )}
      {changes.length > 0 && (
        <Changes changes={changes} total={changesTotal} isPatch={type === 'patch'} isBeforeKnown={isBeforeKnown} />
      )}
      {changes.length === 0 && type === 'patch' && status === 'stored' && isBeforeKnown && (
        <p class="hint">It changed no value.</p>
      )}
      <p class="hint">
        Signed {moment(created_at)} by the clock of its author.{' '}
        <a href={avatarHref(avatar, 'history', { record: id })}>Link to this record</a>
      </p>
      <details open={isChosen} onToggle={(event) => setIsRawOpen(event.currentTarget.open)}>
        <summary>Signed text and signature</summary>
        <dl class="facts">
          <dt>Id</dt>
          <dd>
            <Hex value={id} label="id" whole />
          </dd>
          <dt>Builds on</dt>
          <dd>
            {prev.length === 0
              ? 'nothing: it is a first record'
              : prev.map((each) => (
                  <a key={each.id} href={avatarHref(avatar, 'history', { record: each.id })}>
                    {each.counter} <code title={each.id}>{shortHex(each.id)}</code>{' '}
                  </a>
                ))}
          </dd>
        </dl>
        {isRawOpen && (
          <div class="raw">
            <p>
              Payload <Copy text={entry.payload} label="Copy payload" />
            </p>
            <pre tabIndex={0} aria-label="Payload">
              {visible(entry.payload)}
            </pre>
            <p>
              Signature <Copy text={entry.signature} label="Copy signature" />
            </p>
            <pre tabIndex={0} aria-label="Signature">
              {entry.signature}
            </pre>
          </div>
        )}
      </details>
    </div>
  )
}
