import { messageOf } from '../../platform/errors.ts'
import type { Avatar, Citation, RecordBody, RecordId } from '../../record/types.ts'
import { foldRecords } from '../../state/fold.ts'
import { selectEngine } from '../../verify/select-engine.ts'
import type { RecordAnswer } from './answers.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { findForks } from './forks.ts'
import type { Fork } from './forks.ts'
import { checkRecord } from './local-check.ts'
import { COLUMNS, entryOf, rowOf } from './log-entry.ts'
import type { NodeClient } from './node-client.ts'
import { readRecords } from './records-reader.ts'
import { countText, jsonText, printable, table } from './text.ts'

interface Held extends RecordAnswer {
  readonly body: RecordBody
}

/**
 * `log --forks`: the visible records that were written concurrently, newest fork first. What is concurrent is found on this
 * machine, from verified records; a fork is shown with as many of its records as the limit leaves, its newest.
 *
 * @param options.limit records shown in all
 */
export async function showForks(
  context: CommandContext,
  client: NodeClient,
  avatar: Avatar,
  options: { readonly limit: number; readonly json?: true },
): Promise<void> {
  const [engine, view] = await Promise.all([selectEngine(), client.avatar(avatar)])
  if (view === undefined) throw new CliError('refused', `The node at ${client.url} has nothing of ${avatar}.`)
  let held = new Map<RecordId, Held>()
  let invalid: string[] = []
  await readRecords(client, avatar, () => {
    held = new Map()
    invalid = []
    return (record) => {
      try {
        held.set(record.id, { ...record, body: checkRecord(engine, view.network, avatar, record).body })
      } catch (error) {
        invalid.push(`${record.id}: ${printable(messageOf(error))}`)
      }
    }
  })
  const { base } = foldRecords(avatar, held.values())
  const forks = findForks(held, base).toReversed()
  const shown = limited(forks, options.limit)
  if (options.json)
    context.out(jsonText({ avatar, total: forks.length, forks: shown.map((each) => forkJson(each, held)) }))
  else if (forks.length === 0) context.out('Nothing was written concurrently: its visible history is one line.')
  else {
    context.out(shown.map((each) => forkText(each, held)).join('\n\n'))
    const left = forks.reduce((sum, { records }) => sum + records.length, 0) - options.limit
    if (left > 0) context.note(`${countText(left, 'older record')} in forks not shown; use --limit to see more.`)
  }
  if (invalid.length > 0) {
    throw new CliError(
      'unverified',
      `The node sent ${countText(invalid.length, 'invalid record')}:\n${invalid.join('\n')}`,
    )
  }
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

function forkJson({ fork: { open, records, ends }, shown }: ShownFork, held: ReadonlyMap<RecordId, Held>) {
  return {
    open,
    total: records.length,
    ends: ends.map(({ counter, id }) => ({ counter, id })),
    records: shown.flatMap(({ id }) => {
      const record = held.get(id)
      return record === undefined
        ? []
        : [{ ...entryOf(record, record.body), payload: record.payload, signature: record.signature }]
    }),
  }
}

function forkText({ fork: { open, records, ends }, shown }: ShownFork, held: ReadonlyMap<RecordId, Held>): string {
  const isEnd = new Set(ends.map(({ id }) => id))
  const rows = shown.flatMap(({ id }) => {
    const record = held.get(id)
    return record === undefined ? [] : [[isEnd.has(id) ? '*' : '', ...rowOf(entryOf(record, record.body))]]
  })
  const [first, last] = [records[0]?.counter ?? 0, records.at(-1)?.counter ?? 0]
  const joined = open ? 'open: no write has joined its ends yet' : 'joined by what came after'
  return (
    `fork of ${countText(records.length, 'record')}, counters ${first} to ${last}, ${countText(ends.length, 'end')} (*); ${joined}\n` +
    table([['', ...COLUMNS], ...rows])
  )
}
