import { useEffect, useMemo, useState } from 'preact/hooks'
import type { HistoryEntry, VerifiedAvatar } from '../../client/index.ts'
import { Bars } from '../parts/chart.tsx'
import { Loading, Trouble } from '../parts/notice.tsx'
import { useApp } from '../data/app-context.ts'
import { count, dayOf } from '../data/format.ts'
import { lanesOf } from '../data/lanes.ts'
import { useAnswer } from '../data/use-answer.ts'
import { HistoryRow } from './history-row.tsx'

const PAGE = 50
/** Number of activity bars, and the shortest time that one bar covers. */
const BARS = 60
const DAY_S = 86_400

interface Props {
  readonly known: VerifiedAvatar
  readonly arrived: ReadonlySet<string>
  readonly chosen: string | null
  /** Words in the paths that are shown. */
  readonly filter: string
}

export function HistoryView({ known, arrived, chosen, filter }: Props) {
  const { session } = useApp()
  const answer = useAnswer((signal) => session.client.history(known.avatar, { signal }), [known.digest, known.pending])
  const [last, setLast] = useState<readonly HistoryEntry[] | undefined>(undefined)
  useEffect(() => {
    if (answer.phase === 'ready') setLast(answer.value)
  }, [answer])
  const entries = answer.phase === 'ready' ? answer.value : last
  return (
    <section aria-labelledby="history-title">
      <h2 id="history-title" class="visually-hidden">
        History
      </h2>
      {entries === undefined && answer.phase === 'loading' && <Loading what="Reading the history and checking it" />}
      <Trouble answer={answer} title="The history could not be read" />
      {entries?.length === 0 && <p class="empty">Nobody has written to this avatar yet.</p>}
      {entries !== undefined && entries.length > 0 && (
        <Entries key={filter} entries={entries} known={known} arrived={arrived} chosen={chosen} filter={filter} />
      )}
    </section>
  )
}

function Entries({ entries, known, arrived, chosen, filter }: Props & { readonly entries: readonly HistoryEntry[] }) {
  const [words, setWords] = useState(filter)
  const all = useMemo(() => entries.toReversed(), [entries])
  const lanes = useMemo(() => new Map(lanesOf(all).map((lane, at) => [all[at]?.id, lane])), [all])
  const wanted = words.trim().toLowerCase()
  const newest = wanted === '' ? all : all.filter((entry) => touches(entry, wanted))
  const chosenAt = newest.findIndex(({ id }) => id === chosen)
  const [spanned, setSpan] = useState<Span>([0, PAGE])
  const span = chosenAt === -1 || isWithin(spanned, chosenAt) ? spanned : spanAround(chosenAt)
  useEffect(() => setSpan(span), [chosenAt])
  const [from, to] = span
  const citedBy = new Map<string, number>()
  for (const { prev } of entries) for (const { id } of prev) citedBy.set(id, (citedBy.get(id) ?? 0) + 1)
  const ids = new Set<string>(entries.map(({ id }) => id))
  const missing = new Set<string>(known.missing)
  const superseded = entries.filter(({ status }) => status === 'superseded').length
  const shown = newest.slice(from, to)
  return (
    <>
      <div class="history-head">
        <p class="hint">
          {count(entries.length, 'record')}, the newest first; every signature was checked here.
          {words !== '' && ` ${count(newest.length, 'record')} with “${words}”.`}
        </p>
        <Activity entries={entries} />
        <div>
          <label for="history-filter" class="visually-hidden">
            Filter by key
          </label>
          <input
            id="history-filter"
            type="search"
            placeholder="Filter by key"
            value={words}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => {
              setWords(event.currentTarget.value)
              setSpan([0, PAGE])
            }}
          />
        </div>
      </div>
      {from > 0 && (
        <p class="actions">
          <button type="button" onClick={() => setSpan([Math.max(0, from - PAGE), to])}>
            Show newer ({from.toLocaleString('en')} more)
          </button>
        </p>
      )}
      <ol class="history" reversed>
        {shown.map((entry, at) => {
          const day = dayOf(entry.created_at)
          const before = shown[at - 1]
          return (
            <HistoryRow
              key={entry.id}
              entry={entry}
              avatar={known.avatar}
              day={before !== undefined && dayOf(before.created_at) === day ? undefined : day}
              // With a filter, lines would lead to records that are not shown.
              lane={wanted === '' ? lanes.get(entry.id) : undefined}
              isNew={arrived.has(entry.id)}
              isChosen={entry.id === chosen}
              branches={citedBy.get(entry.id) ?? 0}
              replaced={entry.type === 'snapshot' ? superseded : 0}
              missing={entry.prev.filter(({ id }) => missing.has(id) || !ids.has(id)).map(({ id }) => id)}
            />
          )
        })}
      </ol>
      {newest.length > to && (
        <p class="actions">
          <button type="button" onClick={() => setSpan([from, to + PAGE])}>
            Show older ({(newest.length - to).toLocaleString('en')} more)
          </button>
        </p>
      )}
    </>
  )
}

function touches({ changes }: HistoryEntry, words: string): boolean {
  return changes.some(({ path, platform, identity }) => `${platform}/${identity}${path}`.toLowerCase().includes(words))
}

/** Records over the time in which they were written, as their author states it. */
function Activity({ entries }: { entries: readonly HistoryEntry[] }) {
  const times = entries.map(({ created_at }) => created_at)
  const [first, last] = times.reduce(
    ([least, most], each) => [Math.min(least, each), Math.max(most, each)],
    [Infinity, -Infinity],
  )
  const step = Math.max(DAY_S, (last - first + 1) / BARS)
  const values = Array.from({ length: Math.min(BARS, Math.max(7, Math.ceil((last - first + 1) / step))) }, () => 0)
  const end = values.length - 1
  for (const each of times) {
    const at = end - Math.floor((last - each) / step)
    if (at >= 0) values[at] = (values[at] ?? 0) + 1
  }
  const days = Math.round((step * values.length) / DAY_S)
  return (
    <figure class="activity-chart">
      <Bars values={values} label={`Records over ${count(days, 'day')}`} />
      <figcaption class="hint">{count(days, 'day')}</figcaption>
    </figure>
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
