import { useState } from 'preact/hooks'
import { Ago } from '../parts/ago.tsx'
import { Failure } from '../parts/notice.tsx'
import { Person } from '../parts/person.tsx'
import { bytes, count } from '../data/format.ts'
import { readStatus } from '../data/node-facts.ts'
import type { Listed } from '../data/overview.ts'
import { useAnswer } from '../data/use-answer.ts'
import { useListed } from '../data/use-listed.ts'
import { FirstSteps } from './first-steps.tsx'
import { isIn } from './found.tsx'

const PAGE = 20
/** Avatars that are read for an order or a filter of all: 40 requests. */
const MAX_READ = 2_000

const ORDERS: Readonly<Record<string, { readonly name: string; readonly compare?: (a: Listed, b: Listed) => number }>> =
  {
    key: { name: 'Key' },
    changed: { name: 'Last change', compare: (a, b) => (b.changedAt ?? -Infinity) - (a.changedAt ?? -Infinity) },
    name: { name: 'Name', compare: (a, b) => (a.profile.name ?? '\uffff').localeCompare(b.profile.name ?? '\uffff') },
    size: { name: 'Size', compare: (a, b) => b.bytes - a.bytes },
  }

/** The avatars that this host holds: ordered, filtered, and shown to the end. */
export function AvatarsHere() {
  const [order, setOrder] = useState('key')
  const [filter, setFilter] = useState('')
  const [shown, setShown] = useState(PAGE)
  const compare = ORDERS[order]?.compare
  const needsAll = compare !== undefined || filter !== ''
  const { avatars, isAll, isLoading, trouble } = useListed(needsAll ? Math.max(MAX_READ, shown) : shown)
  const total = useAnswer((signal) => readStatus(signal), [])
  const words = filter.trim().toLowerCase()
  const fitting = avatars.filter(
    ({ avatar, profile }) => words === '' || avatar.includes(words) || isIn(words, profile.name),
  )
  const rows = compare === undefined ? fitting : fitting.toSorted(compare)
  const all = total.phase === 'ready' ? Math.max(total.value.avatars, avatars.length) : avatars.length
  if (trouble !== undefined && avatars.length === 0) {
    return <Failure title="This host does not list its avatars" message={trouble} />
  }
  if (isAll && avatars.length === 0) return <FirstSteps />
  const hasMore = rows.length > shown || (!isAll && !needsAll)
  return (
    <section aria-labelledby="held">
      <div class="section-head">
        <h2 id="held">Avatars on this host</h2>
        <div class="list-tools">
          <label for="avatar-filter" class="visually-hidden">
            Filter by name or key
          </label>
          <input
            id="avatar-filter"
            type="search"
            placeholder="Filter"
            value={filter}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
          <label for="avatar-order" class="visually-hidden">
            Order
          </label>
          <select id="avatar-order" value={order} onChange={(event) => setOrder(event.currentTarget.value)}>
            {Object.entries(ORDERS).map(([key, { name }]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </select>
        </div>
      </div>
      {/* Space is reserved for the rows that come. */}
      <div class="avatars" aria-busy={isLoading}>
        <div class="avatars-head" aria-hidden="true">
          <span>Avatar</span>
          <span>Last change</span>
          <span>Records</span>
          <span>Size</span>
        </div>
        <ul class="list">
          {rows.slice(0, shown).map((each) => (
            <li key={each.avatar} class="avatar-row">
              <Person avatar={each.avatar} profile={each.profile} />
              <span>{each.changedAt === null ? 'not known' : <Ago unixSeconds={each.changedAt} />}</span>
              <span>
                {each.records.toLocaleString('en')}
                <span class="unit"> {each.records === 1 ? 'record' : 'records'}</span>
              </span>
              <span>{bytes(each.bytes)}</span>
            </li>
          ))}
          {isLoading && avatars.length === 0 && Array.from({ length: 6 }, (_, n) => <SkeletonRow key={n} />)}
        </ul>
      </div>
      {rows.length === 0 && !isLoading && <p class="empty">No avatar here fits “{filter}”.</p>}
      <div class="list-end">
        <p class="hint" role="status">
          {trouble !== undefined && `${trouble} This page tries again by itself. `}
          {isLoading &&
            avatars.length > 0 &&
            `Reading: ${avatars.length.toLocaleString('en')} of ${all.toLocaleString('en')}. `}
          {needsAll && !isAll && !isLoading
            ? `The first ${avatars.length.toLocaleString('en')} of ${count(all, 'avatar')} by key are looked at.`
            : total.phase === 'ready' && `${count(all, 'avatar')} in all.`}
        </p>
        {hasMore && (
          <button type="button" disabled={isLoading && !needsAll} onClick={() => setShown(shown + PAGE)}>
            Show more
          </button>
        )}
        {!hasMore && !isLoading && rows.length > PAGE && <p class="hint">This is the end of the list.</p>}
      </div>
    </section>
  )
}

function SkeletonRow() {
  return (
    <li class="avatar-row" aria-hidden="true">
      <span class="person">
        <span class="face skeleton" />
        <span class="person-text">
          <span class="skeleton">A name of someone</span>
        </span>
      </span>
    </li>
  )
}
