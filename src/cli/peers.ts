import type { Command } from 'commander'

import { readPeers, readStatus } from '../client/node-info.ts'
import { jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { nodeAt } from './lib/node.ts'
import { reachabilityText } from './lib/reachability-text.ts'
import { receivedText, syncText } from './lib/sync-text.ts'
import { jsonText, printable, table, timeText } from './lib/text.ts'

/** `peers`. */
export function addPeers(program: Command, context: CommandContext): void {
  program
    .command('peers')
    .summary('list the peers that a node is connected to')
    .description(
      'Lists the peers that a node is connected to. For each peer, it shows how many new records the peer delivered, and ' +
        'whether both nodes had the same records when they last compared.',
    )
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ avatar-kv peers\n  $ avatar-kv peers --json')
    .action(async (options: { node: string; json?: true }) => {
      const { transport } = nodeAt(options.node)
      const peers = await readPeers(transport)
      if (options.json) return context.out(jsonText({ peers }))
      if (peers.length === 0)
        return context.out(
          'The node has no peers. To connect to one, start the node with: avatar-kv start --peer MULTIADDR',
        )
      const rows = peers.map((peer) => [
        printable(peer.peer_id),
        peer.direction,
        peer.gossip ? 'yes' : 'no',
        timeText(peer.connected_at),
        receivedText(peer),
        syncText(peer.sync),
        printable(peer.agent ?? ''),
        peer.addresses.map(printable).join(' '),
      ])
      context.out(table([['PEER', 'DIRECTION', 'GOSSIP', 'SINCE', 'RECEIVED', 'SYNC', 'AGENT', 'ADDRESSES'], ...rows]))
      const { reachability } = await readStatus(transport)
      context.out(`\nFrom outside, this node is: ${reachabilityText(reachability)}.`)
    })
}
