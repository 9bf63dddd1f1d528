import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'

import type { NodeApi } from '../client/node-api.ts'
import { readPeers } from '../client/node-info.ts'
import { avatarOf } from '../record/keys.ts'
import type { Avatar } from '../record/types.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError, EXIT_FAILED } from './lib/errors.ts'
import { nodeAt } from './lib/node.ts'
import type { NodeProcess } from './lib/node-process.ts'
import { countText, jsonText } from './lib/text.ts'

/** Connecting and forming the gossip mesh takes a second or two, and gossip over two hops milliseconds; a busy machine is slower. */
const PATIENCE_MS = 60_000
const POLL_MS = 50
const SECRET_KEY_BYTES = 32

/** `demo`. */
export function addDemo(program: Command, context: CommandContext): void {
  program
    .command('demo')
    .summary('see three nodes work together, on this machine')
    .description(
      'Starts three nodes in a line on this machine, each in a process and a temporary directory of its own, writes at ' +
        'one end with a fresh key, reads and verifies at the other end, and stops them. Takes a few seconds and leaves ' +
        'nothing behind.',
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
      context.out('\nThe three nodes are stopped and their data is deleted. That was the whole of it.')
    })
}

async function play(context: CommandContext, directory: string, nodes: NodeProcess[]): Promise<void> {
  // Loaded here, so that other commands start without the native libraries.
  const [{ startNodeProcess }, { putPatch }, { checkNode }, { selectEngine }] = await Promise.all([
    import('./lib/node-process.ts'),
    import('./lib/put-patch.ts'),
    import('../client/check-node.ts'),
    import('../verify/select-engine.ts'),
  ])
  const { out } = context
  const main = fileURLToPath(new URL('../main.js', import.meta.url))
  const { clock, random } = context.environment

  out('1. Starting three nodes in a line, A - B - C: B connects to A, C connects to B.')
  for (const name of ['A', 'B', 'C']) {
    const previous = nodes.at(-1)?.addresses[0]
    const args = ['--data-dir', join(directory, name), '--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']
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
  for (const [api, links] of [
    [a, 1],
    [b, 2],
    [c, 1],
  ] as const)
    await waitForLinks(api, links)

  out('\n2. Making a key. Its public half is the avatar; nobody is asked for permission.')
  const secretKey = random.bytes(SECRET_KEY_BYTES)
  const avatar = avatarOf(secretKey)
  out(`   ${avatar}`)

  out('\n3. Signing two patches with it and giving them to A:')
  for (const patch of [{ greeting: 'hello', colour: 'red' }, { colour: 'green' }]) {
    const result = await putPatch({ api: a, clock }, { secretKey, platform: 'nextid', identity: avatar, patch })
    if (result.status !== 'stored') throw new CliError('refused', `A did not store the patch: ${jsonText(result)}`)
    out(`   ${jsonText(patch)} is stored on disk as record ${result.counter}, ${result.id}`)
  }

  out('\n4. Reading at C, which never spoke with A:')
  const began = clock.now()
  await waitForHead(c, avatar, 2)
  out(`   both records were there ${clock.now() - began} ms later, by gossip through B`)
  const check = await checkNode(c, await selectEngine(), avatar)
  if (check === undefined || check.differences.length > 0) {
    throw new CliError('unverified', `C shows something else than was signed: ${check?.differences.join('; ')}`)
  }
  out(`   C says ${jsonText(check.fold.namespaces[0]?.content)}`)
  out(
    `   verified: ${countText(check.records.length, 'signature')} checked here, and they say the same (digest ${check.fold.digest})`,
  )

  const [atA, atC] = await Promise.all([a.document(avatar), c.document(avatar)])
  if (atA?.digest !== atC?.digest) throw new CliError('failed', 'A and C differ.')
  out('   A and C have the same digest: they hold the same state, to the last byte')
}

async function waitForLinks(api: NodeApi, links: number): Promise<void> {
  await waitFor('The nodes did not connect', async () => {
    const peers = await readPeers(api.transport)
    return peers.filter((peer) => peer.gossip).length >= links
  })
}

async function waitForHead(api: NodeApi, avatar: Avatar, head: number): Promise<void> {
  await waitFor('The records did not arrive', async () => {
    const answer = await api.document(avatar)
    return answer !== undefined && answer.head >= head
  })
}

async function waitFor(failure: string, test: () => Promise<boolean>): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  while (!(await test())) {
    if (signal.aborted) throw new CliError('failed', `${failure} within ${PATIENCE_MS / 1000} s.`)
    await sleep(POLL_MS)
  }
}
