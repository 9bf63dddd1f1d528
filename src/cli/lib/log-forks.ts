import { recordText } from '../../client/sign-patch.ts'
import type { Avatar, Citation, VerifiedRecord } from '../../record/types.ts'
import { findForks, type Fork } from '../../state/forks.ts'
import type { CommandContext } from './context.ts'
import { COLUMNS, entryOf, rowOf } from './log-entry.ts'
import type { AvatarLog } from './read-log.ts'
import { countText, jsonText, table } from './text.ts'

/**
 * `log --forks`: the visible records that were written concurrently, newest fork first, found from verified records. A fork
 * is shown with as many of its newest records as the limit leaves.
 *
 * @param options.limit records shown in all
 */
export function showForks(
  context: CommandContext,
  avatar: Avatar,
  log: AvatarLog,
  options: { readonly limit: number; readonly json?: true },
): void {
  const records = new Map([...log.local.records].map((record) => [record.id, record]))
  const forks = findForks(records, log.local.base).toReversed()
  const shown = limited(forks, options.limit)
  if (options.json) {
    return context.out(jsonText({ avatar, total: forks.length, forks: shown.map((each) => forkJson(each, log)) }))
  }
  if (forks.length === 0) return context.out('Nothing was written concurrently: its visible history is one line.')
  context.out(shown.map((each) => forkText(each, log)).join('\n\n'))
  const left = forks.reduce((sum, { records }) => sum + records.length, 0) - options.limit
  if (left > 0) context.note(`${countText(left, 'older record')} in forks not shown; use --limit to see more.`)
}

/** A fork, and those of its records that are shown, newest first. */
interface ShownFork {
  readonly fork: Fork
  readonly shown: readonly Citation[]
}

function limited(forks: readonly Fork[], limit: number): ShownFork[] {
  let left = limit
  return forks.flatMap((fork) => {
    if (left <= 0) return []
    const shown = fork.records.slice(-left).toReversed()
    left -= shown.length
    return [{ fork, shown }]
  })
}

function forkJson({ fork: { open, records, ends }, shown }: ShownFork, log: AvatarLog) {
  return {
    open,
    total: records.length,
    ends: ends.map(({ counter, id }) => ({ counter, id })),
    records: recordsOf(shown, log).map((record) => ({
      ...entryOf(record, log.statusOf(record)),
      ...recordText(record),
    })),
  }
}

function forkText({ fork: { open, records, ends }, shown }: ShownFork, log: AvatarLog): string {
  const isEnd = new Set(ends.map(({ id }) => id))
  const rows = recordsOf(shown, log).map((record) => [
    isEnd.has(record.id) ? '*' : '',
    ...rowOf(entryOf(record, log.statusOf(record))),
  ])
  const [first, last] = [records[0]?.counter ?? 0, records.at(-1)?.counter ?? 0]
  const joined = open ? 'open: no write has joined its ends yet' : 'joined by what came after'
  return (
    `fork of ${countText(records.length, 'record')}, counters ${first} to ${last}, ${countText(ends.length, 'end')} (*); ${joined}\n` +
    table([['', ...COLUMNS], ...rows])
  )
}

function recordsOf(places: readonly Citation[], { local }: AvatarLog): VerifiedRecord[] {
  return places.flatMap(({ id }) => local.get(id) ?? [])
}
