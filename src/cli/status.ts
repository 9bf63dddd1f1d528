import type { Command } from 'commander'

import { readNodeInfo } from '../client/node-about.ts'
import { readStatus } from '../client/node-info.ts'
import { jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { nodeInfoRows } from './lib/node-text.ts'
import { nodeAt } from './lib/node.ts'
import { bytesText } from './lib/progress.ts'
import { reachabilityText } from './lib/reachability-text.ts'
import { countText, jsonText, printable, table, timeText } from './lib/text.ts'

/** `status`. */
export function addStatus(program: Command, context: CommandContext): void {
  program
    .command('status')
    .summary('show the state of a node')
    .description('Shows who runs a node, what it hosts, its version, network, addresses, number of peers, and totals.')
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ avatar-kv status\n  $ avatar-kv status --node http://192.0.2.7:4381 --json')
    .action(async (options: { node: string; json?: true }) => {
      const { transport } = nodeAt(options.node)
      const [status, info] = await Promise.all([readStatus(transport), readNodeInfo(transport)])
      if (options.json) return context.out(jsonText({ ...status, node: info ?? null }))
      const { addresses, damage, disk, reachability, ...rest } = status
      const rows: (readonly [string, string])[] = Object.entries(rest).map(([name, value]) => [
        printable(name).replaceAll('_', ' '),
        valueText(name, value),
      ])
      rows.unshift(...nodeInfoRows(info))
      rows.push(['reachability', reachabilityText(reachability)])
      rows.push(['disk', diskText(disk)])
      rows.push(['damage', damageText(damage)])
      for (const address of addresses) rows.push(['address', printable(address)])
      context.out(table(rows))
    })
}

function valueText(name: string, value: unknown): string {
  if (name === 'bytes' && typeof value === 'number') return bytesText(value)
  return typeof value === 'string' ? printable(value) : jsonText(value)
}

const DISK_STATES: Readonly<Record<string, string>> = {
  ok: 'has room',
  low: 'getting full: the node takes no new avatars',
  full: 'nearly full: the node takes no records',
}

/** The room on the disk, in words. Nodes of earlier versions do not report it. */
function diskText(disk: unknown): string {
  if (typeof disk !== 'object' || disk === null) return 'not reported'
  const { state, free_percent } = disk as Readonly<Record<string, unknown>>
  const text = DISK_STATES[String(state)] ?? printable(String(state))
  return typeof free_percent === 'number' ? `${text} (${free_percent} % free)` : text
}

/** The damage that the node found in its store, in words. Nodes of earlier versions do not report it. */
function damageText(damage: unknown): string {
  if (damage === undefined) return 'not reported'
  if (damage === null) return 'none'
  const { found_at, files, records_lost } = damage as Readonly<Record<string, unknown>>
  const lost =
    typeof records_lost === 'number' ? `${countText(records_lost, 'record')} lost` : 'unknown number of records lost'
  const names = Array.isArray(files) ? files.map((file) => printable(String(file))) : []
  const when = typeof found_at === 'number' ? timeText(found_at) : 'unknown'
  return [`${lost}, found ${when}`, ...names].join('; ')
}
