import type { Command } from 'commander'

import type { HostingEntry, HostingListName } from '../hosting/types.ts'
import type { Avatar } from '../record/types.ts'
import { withPlace, type PlaceOptions } from './lib/archive-place.ts'
import { avatarsArgument, jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { addHostRequest } from './lib/host-request.ts'
import { asOperator, type HostingAction } from './lib/operator.ts'
import { countText, jsonText, printable, table, timeText } from './lib/text.ts'

const CHANGES: readonly { readonly action: HostingAction; readonly summary: string; readonly done: string }[] = [
  { action: 'add', summary: 'put avatars on the list of those that the node stores', done: 'on the list' },
  { action: 'remove', summary: 'take avatars off the list, and delete their records', done: 'removed' },
  { action: 'block', summary: 'reject all records of avatars, and show none', done: 'blocked' },
  { action: 'unblock', summary: 'undo block', done: 'not blocked any more' },
]

const LIST_IN_LISTED = 'The list takes effect while the node runs with --hosting-mode listed.'
const NO_LIST_YET = `This changes nothing yet: the node is in the mode "all", so it stores every avatar. ${LIST_IN_LISTED}`

/** `host`. */
export function addHost(program: Command, context: CommandContext): void {
  const host = program
    .command('host')
    .summary('decide which avatars a node stores')
    .description(
      'For operators: decides which avatars your node stores. In the mode "listed" it stores those on the list; in ' +
        'the mode "all" it stores every avatar that you did not remove or block. If the node runs, the command uses ' +
        'the operator token in the data directory; if not, it changes the directory. For owners: "request" asks a ' +
        'node to store your avatar, or to drop it.',
    )
  for (const { action, summary, done } of CHANGES) {
    const command = withPlace(host.command(action).summary(summary), context)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .argument('<avatars...>', 'the avatars: public keys in hex', avatarsArgument)
      .addOption(jsonOption())
    if (action === 'block') command.option('--forget', 'also delete the records that the node stores of them')
    command.action(async (named: Avatar[], options: PlaceOptions & { forget?: true; json?: true }) => {
      const avatars = [...new Set(named)]
      const mode = await asOperator(context, options, async (operator) => {
        await operator.change(action, avatars, options.forget === true)
        return operator.mode
      })
      if (options.json) context.out(jsonText({ action, avatars, mode: mode ?? null }))
      else context.out(`${countText(avatars.length, 'avatar')} ${done}`)
      if (action === 'add' && mode === 'all') context.note(NO_LIST_YET)
      if (action === 'add' && mode === undefined) context.note(LIST_IN_LISTED)
    })
  }
  addList(host, context)
  withPlace(host.command('tidy').summary('delete the records of avatars that the node does not host'), context)
    .description(
      'Deletes the records of avatars that the node stores but does not host: blocked avatars and, in the mode "listed", all ' +
        'that are not on the list. If you change the mode from "all" to "listed", the node hides those records. It keeps ' +
        'them until you run this command.',
    )
    .addOption(jsonOption())
    .action(async (options: PlaceOptions & { json?: true }) => {
      const dropped = await asOperator(context, options, (operator) => operator.tidy())
      context.out(options.json ? jsonText({ dropped }) : `${countText(dropped, 'avatar')} deleted`)
    })
  addHostRequest(host, context)
}

function addList(host: Command, context: CommandContext): void {
  withPlace(host.command('list').summary('show the avatars on the list, or those blocked or gone'), context)
    .description('Shows the avatars on the list, or those blocked or gone, and the homes that each avatar names.')
    .option('--blocked', 'show the blocked avatars instead')
    .option('--gone', 'show the avatars that you removed or whose owners left, instead')
    .addOption(jsonOption())
    .action(async (options: PlaceOptions & { blocked?: true; gone?: true; json?: true }) => {
      if (options.blocked && options.gone) throw new CliError('usage', 'Give --blocked or --gone, not both.')
      const name: HostingListName = options.blocked ? 'blocked' : options.gone ? 'gone' : 'hosted'
      await asOperator(context, options, async (operator) => {
        const entries: HostingEntry[] = []
        let page = await operator.list(name, null)
        for (entries.push(...page.entries); page.cursor !== null; entries.push(...page.entries)) {
          page = await operator.list(name, page.cursor)
        }
        const { mode, policy, counts } = page
        if (options.json) return context.out(jsonText({ mode, policy, counts, list: name, avatars: entries }))
        if (entries.length > 0) {
          const rows = entries.map(({ avatar, at, homes = [] }) => [
            avatar,
            timeText(at),
            homes.map(printable).join(' '),
          ])
          context.out(table(rows))
        }
        const { hosted, blocked, gone, invites } = counts
        const totals = `${hosted} on the list, ${blocked} blocked, ${gone} gone, ${countText(invites, 'unused code')}`
        context.note(`mode ${mode}, policy ${policy}: ${totals}`)
      })
    })
}
