import type { Command } from 'commander'

import type { Avatar, RecordBody } from '../record/types.ts'
import type { RecordAnswer } from './answers.ts'
import { avatarArgument, countArgument, jsonOption, nodeOption } from './arguments.ts'
import type { CommandContext } from './context.ts'
import { CliError, messageOf } from './errors.ts'
import { createNodeClient } from './node-client.ts'
import { readRecords } from './records-reader.ts'
import { countText, jsonText, printable, table, timeText } from './text.ts'

const DEFAULT_LIMIT = 20
/** Changed keys that a line of text names one by one. */
const MAX_SHOWN_KEYS = 4
/** Changed keys that are kept of one record; it can have 10,000. */
const MAX_KEPT_KEYS = 100

interface LogEntry {
  readonly counter: number
  readonly created_at: number
  readonly type: RecordBody['type']
  /** Of a patch. */
  readonly platform?: string
  readonly identity?: string
  /** Keys that a patch sets and deletes, the first hundred. */
  readonly set?: readonly string[]
  readonly deleted?: readonly string[]
  /** Keys in the patch in total. */
  readonly keys?: number
  /** Of a snapshot or part. */
  readonly namespaces?: number
  readonly parts?: number
  readonly id: string
  readonly status: string
}

/** `log`. */
export function addLog(program: Command, context: CommandContext): void {
  program
    .command('log')
    .summary('list the signed records of an avatar')
    .description(
      'Lists the records of an avatar that the node holds, newest first, with the keys that each sets and deletes (-). ' +
        'Every signature is checked on this machine; records that fail are listed apart, and the command fails.',
    )
    .argument('<avatar>', 'the avatar: a public key in hex', avatarArgument)
    .option('--limit <n>', 'show at most this many', countArgument, DEFAULT_LIMIT)
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ avatar-kv log 0x02b4…c1\n  $ avatar-kv log 0x02b4…c1 --limit 1000 --json')
    .action(async (avatar: Avatar, options: { limit: number; node: string; json?: true }) => {
      // Loaded here, so that other commands start without the native libraries.
      const [{ selectEngine }, { checkRecord }] = await Promise.all([
        import('../verify/select-engine.ts'),
        import('./local-check.ts'),
      ])
      const client = createNodeClient(options.node)
      const [engine, view] = await Promise.all([selectEngine(), client.avatar(avatar)])
      if (view === undefined) throw new CliError('refused', `The node at ${client.url} has nothing of ${avatar}.`)

      let entries: LogEntry[] = []
      let invalid: string[] = []
      await readRecords(client, avatar, () => {
        entries = []
        invalid = []
        return (record) => {
          try {
            entries.push(entryOf(record, checkRecord(engine, view.network, avatar, record).body))
          } catch (error) {
            invalid.push(`${record.id}: ${printable(messageOf(error))}`)
          }
        }
      })
      entries.sort((a, b) => b.counter - a.counter || (a.id < b.id ? 1 : -1))
      const shown = entries.slice(0, options.limit)
      if (options.json) context.out(jsonText({ avatar, total: entries.length, records: shown }))
      else {
        context.out(table([['COUNTER', 'TIME', 'NAMESPACE', 'CHANGES', 'STATUS', 'ID'], ...shown.map(rowOf)]))
        if (shown.length < entries.length) {
          context.note(`${entries.length - shown.length} older ones are not shown; use --limit to see more.`)
        }
      }
      if (invalid.length > 0) {
        throw new CliError(
          'unverified',
          `The node sent ${countText(invalid.length, 'invalid record')}:\n${invalid.join('\n')}`,
        )
      }
    })
}

function entryOf({ id, status }: RecordAnswer, body: RecordBody): LogEntry {
  const common = { counter: body.counter, created_at: body.created_at, type: body.type }
  if (body.type !== 'patch') {
    const parts = body.type === 'snapshot' ? { parts: body.parts.length } : {}
    return { ...common, namespaces: body.state.length, ...parts, id, status }
  }
  const { patch, platform, identity } = body
  const keys = Object.keys(patch)
  const kept = keys.slice(0, MAX_KEPT_KEYS)
  return {
    ...common,
    platform,
    identity,
    set: kept.filter((key) => patch[key] !== null),
    deleted: kept.filter((key) => patch[key] === null),
    keys: keys.length,
    id,
    status,
  }
}

function rowOf(entry: LogEntry): string[] {
  const start = [String(entry.counter), timeText(entry.created_at)]
  const end = [printable(entry.status), entry.id]
  if (entry.type !== 'patch') {
    const parts = entry.parts === undefined ? '' : `, ${countText(entry.parts, 'part')}`
    return [...start, entry.type, `${countText(entry.namespaces ?? 0, 'namespace')}${parts}`, ...end]
  }
  const { platform = '', identity = '', set = [], deleted = [], keys = 0 } = entry
  const changes = [...set, ...deleted.map((key) => `-${key}`)].slice(0, MAX_SHOWN_KEYS).map((key) => brief(key))
  if (keys > changes.length) changes.push(`… (${keys})`)
  // The avatar's own namespace has the avatar as its identity, which everybody who reads this has just typed.
  const namespace = platform === 'nextid' ? platform : `${platform} ${brief(identity)}`
  return [...start, namespace, changes.join(' '), ...end]
}

function brief(text: string): string {
  const safe = printable(text)
  return safe.length > 40 ? `${safe.slice(0, 39)}…` : safe
}
