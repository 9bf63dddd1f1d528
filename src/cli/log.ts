import type { Command } from 'commander'

import { messageOf } from '../platform/errors.ts'
import type { Avatar } from '../record/types.ts'
import { avatarArgument, countArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { COLUMNS, entryOf, rowOf } from './lib/log-entry.ts'
import type { LogEntry } from './lib/log-entry.ts'
import { createNodeClient } from './lib/node-client.ts'
import { readRecords } from './lib/records-reader.ts'
import { countText, jsonText, printable, table } from './lib/text.ts'

const DEFAULT_LIMIT = 20

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
    .option('--forks', 'list what was written concurrently, grouped; --json adds payloads and signatures')
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv log 0x02b4…c1
  $ avatar-kv log 0x02b4…c1 --limit 1000 --json
  $ avatar-kv log 0x02b4…c1 --forks`,
    )
    .action(async (avatar: Avatar, options: { limit: number; forks?: true; node: string; json?: true }) => {
      if (options.forks) {
        const { showForks } = await import('./lib/log-forks.ts')
        return await showForks(context, createNodeClient(options.node), avatar, options)
      }
      // Loaded here, so that other commands start without the native libraries.
      const [{ selectEngine }, { checkRecord }] = await Promise.all([
        import('../verify/select-engine.ts'),
        import('./lib/local-check.ts'),
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
        context.out(table([COLUMNS, ...shown.map(rowOf)]))
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
