import { setTimeout as sleep } from 'node:timers/promises'

import type { Command } from 'commander'

import { ClientError } from '../../client/errors.ts'
import { askHosting, readHosted, type HostingAnswer, type PullAnswer } from '../../client/hosting-api.ts'
import { readStatus } from '../../client/node-info.ts'
import type { Transport } from '../../client/transport.ts'
import { signStatement, statementText, type HostingStatement } from '../../hosting/statement.ts'
import { avatarOf } from '../../record/keys.ts'
import type { Avatar } from '../../record/types.ts'
import { avatarArgument, jsonOption, nodeOption } from './arguments.ts'
import { confirm } from './ask.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { DEFAULT_KEY_FILE, readKeyFile } from './key-file.ts'
import { nodeAt } from './node.ts'
import { countText, jsonText, printable } from './text.ts'

interface RequestOptions {
  readonly key: string
  readonly node: string
  readonly peerId?: string
  readonly invite?: string
  readonly from?: string
  readonly leave?: true
  readonly wait: boolean
  readonly unsigned?: Avatar
  readonly signed?: string
  readonly signature?: string
  readonly json?: true
}

/** Between two looks at a pull. */
const POLL_MS = 500
/** The times of statements are whole seconds; timers may be a little early. */
const NEXT_SECOND_MS = 1_100

/** `host request` and `host status`. */
export function addHostRequest(host: Command, context: CommandContext): void {
  host
    .command('request')
    .summary('ask a node to host your avatar, or to release it')
    .description(
      'For owners: signs a statement for one node, good for ten minutes, and gives it to that node. With --from the node ' +
        'fetches what is there from where the avatar lives now. The statement names the node by its peer id. A node that ' +
        'states the id of another node gets a statement that is good at that other node, where --leave drops the avatar. Ask ' +
        'the operator for the peer id and give it with --peer-id; without it the command shows the id that the node states ' +
        'and, at a terminal and without --json, asks before it signs.',
    )
    .option('--key <file>', 'file with the secret key', DEFAULT_KEY_FILE)
    .addOption(nodeOption(context.env))
    .option('--peer-id <id>', 'the peer id that the node must have; nothing is signed for another one')
    .option('--invite <code>', 'a code of the operator')
    .option('--from <url>', 'address of the node where the avatar lives now')
    .option('--leave', 'ask to be released: the node deletes all records of the avatar')
    .option('--no-wait', 'do not wait until everything was fetched')
    .option('--unsigned <avatar>', 'print the text that a wallet is to sign, and do nothing else', avatarArgument)
    .option('--signed <text>', 'such a text, signed by a wallet')
    .option('--signature <signature>', 'its signature, in hex or base64')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv host request --node https://kv.example.org --invite mzxw-6ytb-oi5d-ahxa-3q7k --from https://old.example.org
  $ avatar-kv host request --node https://kv.example.org --leave --peer-id 12D3KooW…
  $ avatar-kv host request --node https://kv.example.org --unsigned 0x02b4…c1`,
    )
    .action(async (options: RequestOptions) => {
      checkOptions(options)
      const { transport } = nodeAt(options.node)
      if (options.unsigned !== undefined) {
        const statement = await statementFor(context, transport, options.unsigned, options)
        return context.out(statementText(statement))
      }
      const answer = await sendRequest(context, transport, options)
      if (answer.pulling && options.wait) {
        const pull = await untilPulled(context, transport, answer.avatar)
        if (options.json) context.out(jsonText({ ...answer, pull }))
        else context.out(`taken in  ${answer.avatar}`)
        return report(context, pull)
      }
      if (options.json) return context.out(jsonText(answer))
      const what = answer.action === 'leave' ? 'released' : answer.already ? 'on the list already' : 'taken in'
      return context.out(`${what}  ${answer.avatar}`)
    })

  host
    .command('status')
    .summary('show how a node keeps an avatar')
    .description('Shows whether a node keeps an avatar, where else it lives, and how fetching it goes.')
    .argument('<avatar>', 'the avatar: a public key in hex', avatarArgument)
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .action(async (avatar: Avatar, options: { node: string; json?: true }) => {
      const answer = await readHosted(nodeAt(options.node).transport, avatar)
      if (options.json) return context.out(jsonText(answer))
      context.out(`${answer.hosted ? 'kept' : 'not kept'}${answer.listed ? ', on the list' : ''}  ${avatar}`)
      for (const home of answer.homes) context.out(`lives at  ${printable(home)}`)
      if (answer.pull !== null) context.out(pullText(answer.pull))
    })
}

function checkOptions(options: RequestOptions): void {
  if (options.leave && (options.invite ?? options.from) !== undefined) {
    throw new CliError('usage', '--leave goes without --invite and --from.')
  }
  if ((options.signed === undefined) !== (options.signature === undefined)) {
    throw new CliError('usage', 'Give --signed and --signature together.')
  }
  if (options.peerId !== undefined && options.signed !== undefined) {
    throw new CliError('usage', '--peer-id goes without --signed, which names a peer id. Give it with --unsigned.')
  }
}

/**
 * The statement to sign. The node alone says which peer id it has, so the caller of the command sees or names that id.
 *
 * @throws CliError `refused` where the node states another peer id than `--peer-id`; `failed` where a person says no
 */
async function statementFor(
  context: CommandContext,
  transport: Transport,
  avatar: Avatar,
  { leave, from, invite, peerId, unsigned, json }: RequestOptions,
): Promise<HostingStatement> {
  const { peer_id, network } = await readStatus(transport)
  const stated = printable(peer_id)
  if (peerId !== undefined && peerId !== peer_id) {
    throw new CliError(
      'refused',
      `wrong peer id: the node at ${transport.url} states ${stated}, and --peer-id is ${printable(peerId)}. Nothing was signed. ` +
        'Check the address with --node URL, or ask the operator for the peer id.',
    )
  }
  const what = `${leave ? 'leave' : 'host'} ${avatar}`
  context.note(`Statement "${what}" for the node with the peer id ${stated}.`)
  const isAsked = peerId === undefined && unsigned === undefined && !json && context.stdin.isTTY === true
  if (isAsked) await confirm(context, 'Is this the node that you mean? The statement is good there.', false)
  return {
    action: leave ? 'leave' : 'host',
    avatar,
    created_at: now(context),
    ...(from === undefined ? {} : { from }),
    ...(invite === undefined ? {} : { invite }),
    network,
    peer_id,
    type: 'hosting',
    version: '2',
  }
}

/** Sends the request of an owner. A statement that is no later than one before it is signed again, once, a second later. */
async function sendRequest(
  context: CommandContext,
  transport: Transport,
  options: RequestOptions,
): Promise<HostingAnswer> {
  const { signed, signature, key } = options
  if (signed !== undefined && signature !== undefined)
    return await askHosting(transport, { statement: signed, signature })
  const secretKey = await readKeyFile(context, key)
  const statement = await statementFor(context, transport, avatarOf(secretKey), options)
  const ask = async (created_at: number) => await askHosting(transport, sign({ ...statement, created_at }, secretKey))
  try {
    return await ask(statement.created_at)
  } catch (error) {
    if (!(error instanceof ClientError) || error.nodeCode !== 'stale_statement') throw error
    await sleep(NEXT_SECOND_MS)
    return await ask(now(context))
  }
}

function sign(statement: HostingStatement, secretKey: Uint8Array) {
  const signature = Buffer.from(signStatement(statement, secretKey)).toString('hex')
  return { statement: statementText(statement), signature: `0x${signature}` }
}

/** Unix seconds. */
function now(context: CommandContext): number {
  return Math.floor(context.environment.clock.now() / 1_000)
}

async function untilPulled(context: CommandContext, transport: Transport, avatar: Avatar): Promise<PullAnswer> {
  context.note('The node fetches what is there …')
  for (;;) {
    const { pull } = await readHosted(transport, avatar)
    if (pull === null) throw new CliError('refused', `The node at ${transport.url} says nothing of the fetching.`)
    if (pull.state === 'done' || pull.state === 'failed') return pull
    await sleep(POLL_MS)
  }
}

function report(context: CommandContext, pull: PullAnswer): void {
  if (pull.state === 'failed') {
    throw new CliError('refused', `The avatar is taken in, but its records are not all there. ${pullText(pull)}`)
  }
  context.note(pullText(pull))
}

function pullText({ state, from, stored, duplicate, refused, message }: PullAnswer): string {
  const counts = `${countText(stored, 'record')} new, ${duplicate} there already, ${refused} not taken`
  const why = message === null ? '' : `: ${printable(message)}`
  return `fetching from ${printable(from)}: ${printable(state)}${why} (${counts})`
}
