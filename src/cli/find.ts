import type { Command } from 'commander'

import { readHosts, type FoundHosts } from '../client/find-hosts.ts'
import type { Avatar } from '../record/types.ts'
import { allowPrivateOption, avatarArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import type { AskedHost } from './lib/find-avatar.ts'
import { nodeAt } from './lib/node.ts'
import { jsonText, printable, table, timeText } from './lib/text.ts'

interface FindCommandOptions {
  readonly node: string
  readonly ask: boolean
  readonly allowPrivate?: true
  readonly json?: true
}

/** `find`. */
export function addFind(program: Command, context: CommandContext): void {
  program
    .command('find')
    .summary('find the hosts of an avatar')
    .description(
      'Asks a node where an avatar lives. The node asks its peers, and each host signs that it has the avatar; this machine ' +
        'checks the signatures. Then the command asks the HTTP addresses that were named for a receipt of their own.',
    )
    .argument('<avatar>', 'the avatar: a public key in hex', avatarArgument)
    .addOption(nodeOption(context.env))
    .option('--no-ask', 'ask only the node, not the hosts that it names')
    .addOption(allowPrivateOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
A signature proves that a peer with this key says that it has the avatar. To read and verify the records, use
avatar-kv get AVATAR --node URL --verify. Exit code 0: at least one host was found.

Examples:
  $ avatar-kv find 0x02b4…c1
  $ avatar-kv find 0x02b4…c1 --node https://node.example --json`,
    )
    .action(async (avatar: Avatar, options: FindCommandOptions) => {
      const api = nodeAt(options.node)
      const found = await readHosts(api, avatar)
      const { askable, confirm } = await import('./lib/find-avatar.ts')
      const finding = { allowPrivate: options.allowPrivate === true }
      const asked = options.ask ? await confirm(avatar, askable(found, api.url, finding), finding) : []
      context.out(options.json ? jsonText({ avatar, ...found, asked }) : foundText(avatar, found, asked))
      if (found.hosts.length > 0 || asked.some(({ receipt }) => receipt !== null)) return
      throw new CliError(
        'refused',
        `No host of ${avatar} was found. The node at ${api.url} and its peers have nothing of it. Ask another node with --node URL.`,
      )
    })
}

/** What to do with a host that tells no URL: the commands that speak the protocol of nodes take its multiaddr. */
function multiaddrText(avatar: Avatar, address: string): string[] {
  return [
    'A host without a URL is reached by its multiaddr:',
    `  avatar-kv migrate ${avatar} --from ${printable(address)} --to URL   copies the records to another node`,
    `  avatar-kv start --peer ${printable(address)}   runs a node that stays connected with the host`,
  ]
}

function foundText(avatar: Avatar, { hosts, homes }: FoundHosts, asked: readonly AskedHost[]): string {
  const lines = [`avatar  ${avatar}`]
  if (hosts.length > 0) {
    const rows = hosts.map(({ receipt, urls, addresses, toldBy }) => [
      timeText(receipt.time),
      receipt.peer_id,
      String(receipt.head),
      String(receipt.records),
      `${receipt.digest.slice(0, 16)}…`,
      toldBy === null ? 'the host' : 'another peer',
      printable([...urls, ...addresses].join(' ') || '(no address)'),
    ])
    const head = ['SIGNED AT', 'HOST', 'HEAD', 'RECORDS', 'DIGEST', 'TOLD BY', 'CLAIMS TO BE AT']
    lines.push('', 'Hosts that signed that they have it (signatures checked here):', table([head, ...rows]))
    const address = hosts.find(({ urls, addresses }) => urls.length === 0 && addresses.length > 0)?.addresses[0]
    if (address !== undefined) lines.push('', ...multiaddrText(avatar, address))
  }
  if (homes.length > 0) {
    lines.push('', 'Homes that it is said to list (not verified):', ...homes.map((home) => `  ${printable(home)}`))
  }
  if (asked.length > 0) {
    lines.push('', 'Addresses asked just now:')
    for (const { url, receipt, problem } of asked) {
      const result = receipt === null ? problem : `has it: head ${receipt.head}, signed by ${receipt.peer_id}`
      lines.push(`  ${printable(url)}: ${printable(result ?? '')}`)
    }
  }
  return lines.join('\n')
}
