import { useEffect, useRef, useState } from 'preact/hooks'
import type { HistoryEntry, ValueChange, VerifiedAvatar } from '../../client/index.ts'
import { Copy, Hex } from '../parts/hex.tsx'
import { Loading, Trouble } from '../parts/notice.tsx'
import { useApp } from '../data/app-context.ts'
import { brief, count, moment, shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { useAnswer } from '../data/use-answer.ts'
import { avatarHref } from '../routes.ts'

const PAGE = 50
const SHOWN_CHANGES = 20
const SHOWN_MISSING = 5

interface Props {
  readonly known: VerifiedAvatar
  readonly arrived: ReadonlySet<string>
  readonly chosen: string | null
}

export function HistoryView({ known, arrived, chosen }: Props) {
  const { session } = useApp()
  const answer = useAnswer((signal) => session.client.history(known.avatar, { signal }), [known.digest, known.pending])
  const [last, setLast] = useState<readonly HistoryEntry[] | undefined>(undefined)
  useEffect(() => {
    if (answer.phase === 'ready') setLast(answer.value)
  }, [answer])
  const entries = answer.phase === 'ready' ? answer.value : last
  return (
    <section aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      {entries === undefined && answer.phase === 'loading' && <Loading what="Reading the history and checking it" />}
      <Trouble answer={answer} title="The history could not be read" />
      {entries?.length === 0 && <p class="empty">Nobody has written to this avatar yet.</p>}
      {entries !== undefined && entries.length > 0 && (
        <Entries entries={entries} known={known} arrived={arrived} chosen={chosen} />
      )}
    </section>
  )
}

function Entries({ entries, known, arrived, chosen }: Props & { readonly entries: readonly HistoryEntry[] }) {
  const newest = entries.toReversed()
  const chosenAt = newest.findIndex(({ id }) => id === chosen)
  const [spanned, setSpan] = useState<Span>([0, PAGE])
  const span = chosenAt === -1 || isWithin(spanned, chosenAt) ? spanned : spanAround(chosenAt)
  useEffect(() => setSpan(span), [chosenAt])
  const [from, to] = span
  const citedBy = new Map<string, number>()
  for (const { prev } of entries) for (const { id } of prev) citedBy.set(id, (citedBy.get(id) ?? 0) + 1)
  const byId = new Map(entries.map((entry) => [entry.id as string, entry]))
  const missing = new Set<string>(known.missing)
  return (
    <>
      <p class="hint">{count(entries.length, 'record')}, the newest first; every signature was checked here.</p>
      {from > 0 && (
        <button type="button" onClick={() => setSpan([Math.max(0, from - PAGE), to])}>
          Show newer ({from.toLocaleString('en')} more)
        </button>
      )}
      <ol class="history" reversed>
        {newest.slice(from, to).map((entry) => (
          <Entry
            key={entry.id}
            entry={entry}
            avatar={known.avatar}
            isNew={arrived.has(entry.id)}
            isChosen={entry.id === chosen}
            branches={citedBy.get(entry.id) ?? 0}
            missing={entry.prev.filter(({ id }) => missing.has(id) || !byId.has(id)).map(({ id }) => id)}
          />
        ))}
      </ol>
      {newest.length > to && (
        <button type="button" onClick={() => setSpan([from, to + PAGE])}>
          Show older ({(newest.length - to).toLocaleString('en')} more)
        </button>
      )}
    </>
  )
}

/** Which are shown, of the newest first: from here, and up to there. */
type Span = readonly [number, number]

function isWithin([from, to]: Span, at: number): boolean {
  return from <= at && at < to
}

function spanAround(at: number): Span {
  const from = Math.max(0, at - PAGE / 2)
  return [from, from + PAGE]
}

interface EntryProps {
  readonly entry: HistoryEntry
  readonly avatar: string
  readonly isNew: boolean
  readonly isChosen: boolean
  /** How many records cite it. */
  readonly branches: number
  readonly missing: readonly string[]
}

function Entry({ entry, avatar, isNew, isChosen, branches, missing }: EntryProps) {
  const place = useRef<HTMLLIElement>(null)
  // Of 50 records the texts may take many megabytes: only those that are opened are in the page.
  const [isOpen, setIsOpen] = useState(isChosen)
  useEffect(() => {
    if (!isChosen) return
    setIsOpen(true)
    place.current?.scrollIntoView({ block: 'center' })
    place.current?.focus()
  }, [isChosen])
  const { id, type, counter, created_at, status, prev, platform, identity, changes, changesTotal } = entry
  const { isBeforeKnown } = entry
  const where = platform === null ? '' : platform === 'nextid' ? 'the profile data' : `${platform} / ${identity}`
  return (
    <li ref={place} tabIndex={-1} class={`entry ${status}${isChosen ? ' chosen' : ''}${isNew ? ' new' : ''}`}>
      <div class="section-head">
        <h3>
          <span class="number">{counter}</span> {TYPES[type]} {where !== '' && <>of {visible(where)}</>}
        </h3>
        <time>{moment(created_at)}</time>
      </div>
      <p class="tags">
        {isNew && <span class="tag good">arrived just now</span>}
        {status === 'pending' && <span class="tag warn">gap: it waits for missing records</span>}
        {status === 'superseded' && <span class="tag">superseded by a snapshot</span>}
        {prev.length > 1 && <span class="tag info">joins {prev.length} branches</span>}
        {branches > 1 && <span class="tag info">fork: {branches} devices wrote on from here at once</span>}
      </p>
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
      {!isBeforeKnown && (
        <p class="hint">
          {type === 'snapshot' ? 'It replaces the records before it' : 'Records before it are gone'}, which this host no
          longer has. These are the values that it sets. What stood there before is not known.
        </p>
      )}
      {changes.length > 0 && (
        <Changes changes={changes} total={changesTotal} isPatch={type === 'patch'} isBeforeKnown={isBeforeKnown} />
      )}
      {changes.length === 0 && type !== 'part' && status === 'stored' && isBeforeKnown && (
        <p class="hint">It changed no value.</p>
      )}
      <details open={isChosen} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
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
        {isOpen && (
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
    </li>
  )
}

const TYPES = { patch: 'Patch', snapshot: 'Snapshot', part: 'Part of a snapshot' } as const

interface ChangesProps {
  readonly changes: readonly ValueChange[]
  readonly total: number
  readonly isPatch: boolean
  readonly isBeforeKnown: boolean
}

function Changes({ changes, total, isPatch, isBeforeKnown }: ChangesProps) {
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
            {isBeforeKnown && (
              <>
                <span class="before">
                  <span class="visually-hidden">before: </span>
                  {before === undefined ? 'nothing' : <code>{visible(brief(before))}</code>}
                </span>
                <span aria-hidden="true">→</span>
              </>
            )}
            <span class="after">
              <span class="visually-hidden">after: </span>
              {after === undefined ? 'removed' : <code>{visible(brief(after))}</code>}
            </span>
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
