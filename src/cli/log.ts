import type { Command } from 'commander'

import type { Avatar } from '../record/types.ts'
import { avatarArgument, countArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { COLUMNS, entryOf, rowOf } from './lib/log-entry.ts'
import { showForks } from './lib/log-forks.ts'
import { nodeAt } from './lib/node.ts'
import { readLog, type AvatarLog } from './lib/read-log.ts'
import { countText, jsonText, table } from './lib/text.ts'

const DEFAULT_LIMIT = 20

interface LogOptions {
  readonly limit: number
  readonly forks?: true
  readonly node: string
  readonly json?: true
}

/** `log`. */
export function addLog(program: Command, context: CommandContext): void {
  program
    .command('log')
    .summary('list the signed records of an avatar')
    .description(
      'Lists the records of an avatar at the node, newest first, with the keys that each record sets, or deletes (-). ' +
        'This machine checks every signature. If a record is invalid, the command names it and fails.',
    )
    .argument('<avatar>', 'the avatar: a public key in hex', avatarArgument)
    .option('--limit <n>', 'show at most this many', countArgument, DEFAULT_LIMIT)
    .option(
      '--forks',
      'list only records that were written at the same time, in groups; --json adds payloads and signatures',
    )
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
    .action(async (avatar: Avatar, options: LogOptions) => {
      const log = await readLog(nodeAt(options.node), avatar)
      if (options.forks) showForks(context, avatar, log, options)
      else showLog(context, avatar, log, options)
      log.check()
    })
}

function showLog(context: CommandContext, avatar: Avatar, { records, statusOf }: AvatarLog, options: LogOptions): void {
  const shown = records.slice(0, options.limit).map((record) => entryOf(record, statusOf(record)))
  if (options.json) return context.out(jsonText({ avatar, total: records.length, records: shown }))
  context.out(table([COLUMNS, ...shown.map(rowOf)]))
  const older = records.length - shown.length
  if (older > 0) context.note(`${countText(older, 'older record')} not shown; use --limit to see more.`)
}
