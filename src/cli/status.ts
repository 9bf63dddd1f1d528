import type { Command } from 'commander'

import { jsonOption, nodeOption } from './arguments.ts'
import type { CommandContext } from './context.ts'
import { createNodeClient } from './node-client.ts'
import { jsonText, printable, table } from './text.ts'

/** `status`. */
export function addStatus(program: Command, context: CommandContext): void {
  program
    .command('status')
    .summary('show what a node is and holds')
    .description('Shows version, network, addresses, peers and totals of a node.')
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ avatar-kv status\n  $ avatar-kv status --node http://192.0.2.7:4381 --json')
    .action(async (options: { node: string; json?: true }) => {
      const status = await createNodeClient(options.node).status()
      if (options.json) return context.out(jsonText(status))
      const { addresses, ...rest } = status
      const rows = Object.entries(rest).map(([name, value]) => [
        printable(name).replaceAll('_', ' '),
        typeof value === 'string' ? printable(value) : jsonText(value),
      ])
      for (const address of addresses) rows.push(['address', printable(address)])
      context.out(table(rows))
    })
}
