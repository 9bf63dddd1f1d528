import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'

import { readPeers } from '../client/node-info.ts'
import { avatarOf } from '../record/keys.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError, EXIT_FAILED } from './lib/errors.ts'
import { loadEngine } from './lib/lazy-parts.ts'
import { nodeAt } from './lib/node.ts'
import type { NodeProcess } from './lib/node-process.ts'
import { countText, jsonText } from './lib/text.ts'

/** Connecting and forming the gossip mesh takes a second or two, and gossip over two hops milliseconds; a busy machine is slower. */
const PATIENCE_MS = 60_000
const POLL_MS = 50
/** Gossip links of the three nodes, counted at both ends: A-B and B-C. */
const LINKS = 4
const SECRET_KEY_BYTES = 32

/** `demo`. */
export function addDemo(program: Command, context: CommandContext): void {
  program
    .command('demo')
    .summary('see three nodes work together, on this machine')
    .description(
      'Starts three nodes on this machine, connected in a line. It writes to the first node with a new key, reads from the ' +
        'last node, and verifies what that node says. Then it stops the nodes and deletes their data. This takes a few ' +
        'seconds.',
    )
    .addHelpText('after', '\nExample:\n  $ avatar-kv demo')
    .action(async () => {
      const directory = await mkdtemp(join(tmpdir(), 'avatar-kv-demo-'))
      const nodes: NodeProcess[] = []
      const clean = async (): Promise<void> => {
        await Promise.all(nodes.map((node) => node.stop()))
        await rm(directory, { recursive: true, force: true })
      }
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.once(signal, () => void clean().finally(() => process.exit(EXIT_FAILED)))
      }
      try {
        await play(context, directory, nodes)
      } finally {
        await clean()
      }
      context.out('\nThe three nodes are stopped, and their data is deleted.')
    })
}

async function play(context: CommandContext, directory: string, nodes: NodeProcess[]): Promise<void> {
  const [{ startNodeProcess }, { putPatch }, { checkNode }] = await Promise.all([
    import('./lib/node-process.ts'),
    import('./lib/put-patch.ts'),
    import('../client/check-node.ts'),
  ])
  const { out } = context
  const main = fileURLToPath(new URL('../main.js', import.meta.url))
  const { clock, random } = context.environment

  out('1. Starting three nodes in a line, A - B - C: B connects to A, C connects to B.')
  for (const name of ['A', 'B', 'C']) {
    const previous = nodes.at(-1)?.addresses[0]
    const args = ['--data-dir', join(directory, name), '--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']
    // Otherwise C would find A by itself.
    args.push('--discovery', 'false')
    const node = await startNodeProcess(
      main,
      [...args, ...(previous === undefined ? [] : ['--peer', previous])],
      directory,
    )
    nodes.push(node)
    out(`   ${name}  ${node.url}  ${node.addresses[0]}`)
  }
  const [a, b, c] = nodes.map((node) => nodeAt(node.url))
  if (a === undefined || b === undefined || c === undefined) throw new CliError('failed', 'Three nodes were expected.')
  await waitFor('The nodes did not connect', async () => {
    const peers = await Promise.all([a, b, c].map((api) => readPeers(api.transport)))
    return peers.flat().filter((peer) => peer.gossip).length >= LINKS
  })

  out('\n2. Making a key. Its public half is the avatar. You need no permission or account.')
  const secretKey = random.bytes(SECRET_KEY_BYTES)
  const avatar = avatarOf(secretKey)
  out(`   ${avatar}`)

  out('\n3. Signing two patches with the key and sending them to A:')
  for (const patch of [{ greeting: 'hello', colour: 'red' }, { colour: 'green' }]) {
    const result = await putPatch({ api: a, clock }, { secretKey, platform: 'nextid', identity: avatar, patch })
    if (result.status !== 'stored') throw new CliError('refused', `A did not store the patch: ${jsonText(result)}`)
    out(`   ${jsonText(patch)} is stored on disk as record ${result.counter}, ${result.id}`)
  }

  out('\n4. Reading from C, which has no connection to A:')
  const began = clock.now()
  await waitFor('The records did not arrive', async () => {
    return ((await c.document(avatar))?.head ?? 0) >= 2
  })
  out(`   both records arrived within ${clock.now() - began} ms, by gossip through B`)
  const check = await checkNode(c, await loadEngine(), avatar)
  if (check === undefined || check.differences.length > 0) {
    throw new CliError('unverified', `C shows something else than was signed: ${check?.differences.join('; ')}`)
  }
  out(`   C shows ${jsonText(check.fold.namespaces[0]?.content)}`)
  out(
    `   verified: ${countText(check.records.length, 'signature')} checked here, and the records say the same (digest ${check.fold.digest})`,
  )

  const [atA, atC] = await Promise.all([a.document(avatar), c.document(avatar)])
  if (atA?.digest !== atC?.digest) throw new CliError('failed', 'A and C differ.')
  out('   A and C have the same digest: their content is identical')
}

async function waitFor(failure: string, test: () => Promise<boolean>): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  while (!(await test())) {
    if (signal.aborted) throw new CliError('failed', `${failure} within ${PATIENCE_MS / 1000} s.`)
    await sleep(POLL_MS)
  }
}
