import type { Command } from 'commander'
import { Option } from 'commander'

import { NODE_VARIABLE } from '../config/environment-variables.ts'
import { createNodePool } from '../client/node-pool.ts'
import { findContradictions } from '../receipt/contradictions.ts'
import type { Avatar } from '../record/types.ts'
import { avatarArgument, jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { loadEngine } from './lib/lazy-parts.ts'
import { DEFAULT_NODE_URL, transportOptions } from './lib/node.ts'
import { appendReceipts, readReceipts } from './lib/receipt-files.ts'
import { contradictionText, hostsText } from './lib/receipt-text.ts'
import { countText, jsonText, printable, table, timeText } from './lib/text.ts'

interface ReceiptOptions {
  readonly node?: readonly string[]
  readonly check?: readonly string[]
  readonly out?: string
  readonly json?: true
}

/** More than one avatar has hosts; each is asked, and its records may have to be read. */
const MAX_NODES = 16
/** Ids of lacking records that JSON output names; the count is of all. */
const MAX_LISTED = 100

/** `receipt`. */
export function addReceipt(program: Command, context: CommandContext): void {
  program
    .command('receipt')
    .summary('compare what hosts of an avatar sign that they hold')
    .description(
      'Asks hosts what they store of an avatar. Each answer is signed with the peer key of the host; the command ' +
        'checks the signatures and compares the answers. If they differ, it reads the signed records of each host and ' +
        'shows which host is behind, and which one contradicts what it signed. With --check, it looks for ' +
        'contradictions between receipts in files.',
    )
    .argument('[avatar]', 'the avatar: a public key in hex', avatarArgument)
    .addOption(
      new Option('--node <url>', `address of a node's HTTP interface; may be repeated (or ${NODE_VARIABLE})`).argParser(
        (url: string, before: readonly string[] = []) => [...before, url],
      ),
    )
    .option(
      '--out <file>',
      'also add the receipts, and what proves a contradiction, at the end of this file, one a line',
    )
    .option('--check <file...>', 'check receipts in files, without asking a node')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Exit code 0: every host gave a sound receipt, and none contradicts what it signed (a host may be behind);
with --check: every receipt is genuine, and none contradicts another.

Examples:
  $ avatar-kv receipt 0x02b4…c1 --node https://a.example --node https://b.example
  $ avatar-kv receipt 0x02b4…c1 --node https://a.example --out receipts.ndjson
  $ avatar-kv receipt --check receipts.ndjson`,
    )
    .action(async (avatar: Avatar | undefined, options: ReceiptOptions) => {
      if ((avatar === undefined) === (options.check === undefined)) {
        throw new CliError('usage', 'Name an avatar, to ask its hosts; or files, with --check FILE.')
      }
      if (avatar === undefined) await check(context, options.check ?? [], options.json === true)
      else await compare(context, avatar, options)
    })
}

async function compare(context: CommandContext, avatar: Avatar, options: ReceiptOptions): Promise<void> {
  const urls = new Set(options.node ?? [context.env[NODE_VARIABLE] || DEFAULT_NODE_URL])
  if (urls.size > MAX_NODES) throw new CliError('usage', `At most ${MAX_NODES} nodes can be compared at once.`)
  const pool = createNodePool([...urls], transportOptions())
  const [{ askHosts, receiptsOf }, { hostsIn }] = await Promise.all([
    import('../receipt/hosts.ts'),
    import('../client/hosts.ts'),
  ])
  const nowSeconds = () => Math.floor(context.environment.clock.now() / 1000)
  const hosts = hostsIn({ pool, engine: await loadEngine(), signal: undefined }, avatar, {})
  const report = await askHosts(avatar, hosts, { now: nowSeconds })

  const receipts = receiptsOf(report)
  if (options.out !== undefined && receipts.length > 0) await appendReceipts(context.cwd, options.out, receipts)
  if (options.json) {
    const listed = report.hosts.map(({ node, state, receipt, lacks, problems }) => ({
      node,
      state,
      lacks: { total: lacks.length, ids: lacks.slice(0, MAX_LISTED).map(({ id }) => id) },
      problems,
      receipt,
    }))
    context.out(
      jsonText({
        avatar,
        verdict: report.verdict,
        head: report.head,
        hosts: listed,
        contradictions: report.contradictions,
      }),
    )
  } else {
    context.out(hostsText(avatar, report))
  }
  const wrong = report.hosts.filter(({ state }) => state === 'failed' || state === 'contradictory').length
  if (wrong > 0)
    throw new CliError('unverified', `${countText(wrong, 'host')} of ${pool.all.length} gave no sound receipt.`)
  if (report.contradictions.length > 0) throw new CliError('unverified', 'These receipts contradict each other.')
}

async function check(context: CommandContext, files: readonly string[], json: boolean): Promise<void> {
  const filed = (await Promise.all(files.map((file) => readReceipts(context, file)))).flat()
  const sound = filed.flatMap(({ receipt }) => receipt ?? [])
  const bad = filed.filter(({ problem }) => problem !== undefined)
  const contradictions = findContradictions(sound)
  if (json) {
    context.out(jsonText({ receipts: filed.length, sound: sound.length, bad, contradictions }))
  } else {
    const rows = sound.map((each) => [
      timeText(each.time),
      each.peer_id,
      each.avatar,
      String(each.head),
      String(each.records),
      `${each.digest.slice(0, 16)}…`,
    ])
    if (rows.length > 0) context.out(table([['TIME', 'PEER', 'AVATAR', 'HEAD', 'RECORDS', 'DIGEST'], ...rows]))
    for (const { file, place, problem = '' } of bad) {
      context.out(`Receipt ${place} in ${printable(file)} is not genuine: ${printable(problem)}`)
    }
    for (const each of contradictions) context.out(contradictionText(each))
    if (contradictions.length === 0) context.out(`${countText(sound.length, 'receipt')}, no contradiction.`)
  }
  if (bad.length + contradictions.length > 0) {
    throw new CliError(
      'unverified',
      `${countText(bad.length, 'receipt')} not genuine, ${countText(contradictions.length, 'contradiction')}.`,
    )
  }
}
