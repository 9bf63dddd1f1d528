import type { Command } from 'commander'

import { checkNode, type NodeCheck } from '../client/check-node.ts'
import { ClientError } from '../client/errors.ts'
import type { NodeApi } from '../client/node-api.ts'
import type { AvatarDocument } from '../client/types.ts'
import type { Avatar, StateEntry } from '../record/types.ts'
import { allowPrivateOption, avatarArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { loadEngine } from './lib/lazy-parts.ts'
import { nodeAt } from './lib/node.ts'
import { countText, jsonText, listText, printable } from './lib/text.ts'

interface GetOptions {
  readonly verify?: true
  readonly followHomes?: true
  readonly find: boolean
  readonly allowPrivate?: true
  readonly node: string
  readonly json?: true
}

/** Ids of missing records that are listed one by one. */
const MAX_LISTED = 10

/** `get`. */
export function addGet(program: Command, context: CommandContext): void {
  program
    .command('get')
    .summary('show the content of an avatar')
    .description(
      'Shows the content of an avatar, or of one namespace. With --verify, it fetches the signed records, checks ' +
        'every signature, computes the content on this machine, and fails if the node shows another one. With ' +
        '--follow-homes, it also asks the nodes that the avatar lists as its homes, verifies each answer, and shows ' +
        'the newest content. If the node has nothing of the avatar, the command asks up to 6 hosts that the node names, ' +
        'verifies the records, and says which host it read from.',
    )
    .argument('<avatar>', 'the avatar: a public key in hex', avatarArgument)
    .argument('[platform]', 'platform of one namespace')
    .argument('[identity]', 'identity of that namespace (default on platform nextid: the avatar)')
    .option('--verify', 'trust signatures, not the node')
    .option('--follow-homes', 'also ask the nodes that the avatar lists as its homes')
    .option('--no-find', 'if the node has nothing of the avatar, do not ask hosts that it names')
    .addOption(allowPrivateOption())
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv get 0x02b4…c1
  $ avatar-kv get 0x02b4…c1 --verify
  $ avatar-kv get 0x02b4…c1 --follow-homes
  $ avatar-kv get 0x02b4…c1 twitter alice --json`,
    )
    .action(async (avatar: Avatar, platform: string | undefined, typed: string | undefined, options: GetOptions) => {
      const identity = typed ?? (platform === 'nextid' ? avatar : undefined)
      if (platform !== undefined && identity === undefined) {
        throw new CliError(
          'usage',
          `Which identity on ${platform}? For example: avatar-kv get ${avatar} ${platform} alice`,
        )
      }
      const namespace = platform === undefined || identity === undefined ? undefined : { platform, identity }
      const asked = { context, api: nodeAt(options.node), avatar, namespace, json: options.json === true }
      const finding = { allowPrivate: options.allowPrivate === true }
      if (options.followHomes) return await showFollowed(asked, finding)
      let refusal: unknown
      const isShown = await (options.verify ? showVerified : show)(asked).catch((error: unknown) => {
        if (!options.find || !isElsewhere(error)) throw error
        refusal = error
        return false
      })
      if (isShown) return
      refusal ??= unknown({ ...asked, namespace: undefined })
      if (!options.find) throw refusal
      await showFound(asked, finding, refusal)
    })
}

type Namespace = Pick<StateEntry, 'platform' | 'identity'>

interface Asked {
  readonly context: CommandContext
  readonly api: NodeApi
  readonly avatar: Avatar
  /** Undefined for all of the avatar's namespaces. */
  readonly namespace: Namespace | undefined
  readonly json: boolean
}

/** Returns false if the node has nothing of the avatar. */
async function show(asked: Asked): Promise<boolean> {
  const { context, api, avatar, namespace, json } = asked
  if (namespace !== undefined) {
    const content = await api.content(avatar, namespace.platform, namespace.identity)
    if (content !== undefined) context.out(jsonText(content, json ? undefined : 2))
    else if ((await api.claim(avatar)) !== undefined) throw unknown(asked)
    return content !== undefined
  }
  const answer = await api.document(avatar)
  if (answer === undefined) return false
  context.out(json ? jsonText(answer) : avatarText(answer, answer.namespaces))
  return true
}

/** Returns false if the node has nothing of the avatar. */
async function showVerified(asked: Asked): Promise<boolean> {
  const check = await checkNode(asked.api, await loadEngine(), asked.avatar)
  if (check === undefined) return false
  if (check.differences.length > 0) throw mismatch(asked.api, check)
  showCheck(asked, check)
  return true
}

/** Whether a node does not show the avatar because it does not host it. */
function isElsewhere(error: unknown): boolean {
  return error instanceof ClientError && (error.nodeCode === 'not_hosted' || error.nodeCode === 'blocked')
}

/** Shows what a host has that the node names. */
async function showFound(asked: Asked, options: { readonly allowPrivate: boolean }, refusal: unknown): Promise<void> {
  const { context, api, avatar } = asked
  const { readElsewhere } = await import('./lib/find-avatar.ts')
  const { found, tried } = await readElsewhere(api, await loadEngine(), avatar, options)
  for (const line of tried) context.note(`  ${printable(line)}`)
  if (found === undefined) throw refusal
  context.note(
    `The node at ${api.url} has nothing of it. This was read from ${printable(found.api.url)} and verified here.`,
  )
  showCheck({ ...asked, api: found.api }, found.check, { node: found.api.url })
}

async function showFollowed(asked: Asked, finding: { readonly allowPrivate: boolean }): Promise<void> {
  const { context, avatar } = asked
  const { followHomes } = await import('./lib/follow-homes.ts')
  const { clock } = context.environment
  const found = await followHomes(asked.api, await loadEngine(), avatar, () => clock.now(), finding)
  const { api, check, asked: nodes, skipped } = found
  for (const { node, head, problem } of nodes) {
    const result = problem === null ? `verified, head ${head ?? 0}` : printable(problem)
    context.note(`${node === api.url ? '*' : ' '} ${printable(node)}: ${result}`)
  }
  for (const home of skipped)
    context.note(
      `  ${printable(home)}: not asked; this command follows up to 15 homes by HTTP, private addresses only with --allow-private`,
    )
  showCheck({ ...asked, api }, check, { node: api.url, asked: nodes, skipped })
}

/** Shows verified content. JSON output contains the members of `more` as well. */
function showCheck(asked: Asked, check: NodeCheck, more: object = {}): void {
  const { context, namespace, json } = asked
  const { document, fold } = check
  const verified = { records: check.records.length, digest: fold.digest }
  if (namespace === undefined) {
    context.out(
      json
        ? jsonText({ ...document, namespaces: fold.namespaces, verified, ...more })
        : `${avatarText(document, fold.namespaces)}\n\n${verifiedText(check)}`,
    )
    return
  }
  const found = fold.namespaces.find(
    (one) => one.platform === namespace.platform && one.identity === namespace.identity,
  )
  if (found === undefined) throw unknown(asked)
  context.out(jsonText(found.content, json ? undefined : 2))
  context.note(verifiedText(check))
}

function avatarText(answer: AvatarDocument, namespaces: readonly StateEntry[]): string {
  const lines = [
    `avatar   ${answer.avatar}`,
    `network  ${printable(answer.network)}`,
    `head     ${answer.head}`,
    `digest   ${printable(answer.digest)}`,
    ...gapLines(answer),
  ]
  for (const { platform, identity, content } of namespaces) {
    lines.push('', `${printable(platform)} ${printable(identity)}`, jsonText(content, 2))
  }
  if (namespaces.length === 0) lines.push('', 'This avatar has no content.')
  return lines.join('\n')
}

function gapLines({ pending, missing }: AvatarDocument): string[] {
  const lines: string[] = []
  if (pending > 0)
    lines.push(`pending  ${countText(pending, 'record')} that cannot be shown yet, because others are missing`)
  if (missing.total > 0) {
    lines.push(`missing  ${countText(missing.total, 'record')} that this node does not have:`)
    lines.push(...missing.ids.slice(0, MAX_LISTED).map((id) => `         ${id}`))
    if (missing.total > MAX_LISTED) lines.push(`         … and ${missing.total - MAX_LISTED} more`)
  }
  return lines
}

function verifiedText({ document, fold, records }: NodeCheck): string {
  const gaps =
    document.pending > 0 || document.missing.total > 0 ? ' Pending and missing records are not part of it.' : ''
  return `verified: ${countText(records.length, 'record')} checked here, digest ${fold.digest}.${gaps}`
}

function mismatch({ url }: NodeApi, { records, differences }: NodeCheck): CliError {
  return new CliError(
    'unverified',
    `NOT verified: ${countText(records.length, 'record')} checked here, and they do not say what the node at ${url} says:` +
      `${listText(differences.map(printable), MAX_LISTED)}\nDo not trust this answer; ask another node with --node URL.`,
  )
}

function unknown({ api, avatar, namespace }: Asked): CliError {
  const what = namespace === undefined ? '' : ` in ${printable(namespace.platform)} ${printable(namespace.identity)}`
  return new CliError('refused', `The node at ${api.url} has nothing of ${avatar}${what}.`)
}
