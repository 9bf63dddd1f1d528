import { resolve } from 'node:path'
import type { Command } from 'commander'

import { ClientError } from '../client/errors.ts'
import { readReceipt } from '../receipt/hosts.ts'
import { parseAvatar } from '../record/keys.ts'
import type { Avatar } from '../record/types.ts'
import { createHttpHost, HTTP_TIMEOUT_MS } from '../migrate/http-host.ts'
import type { Moved } from '../migrate/migrate.ts'
import type { HostAddress, OpenMigration } from '../migrate/run.ts'
import type { Receipt } from '../receipt/receipt.ts'
import { allowPrivateOption, avatarArgument, jsonOption } from './lib/arguments.ts'
import { toCliError } from './lib/client-error.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { DEFAULT_KEY_FILE, readKeyOf } from './lib/key-file.ts'
import { updateHomes } from './lib/migrate-homes.ts'
import { agreeOnHost } from './lib/migrate-consent.ts'
import type { MigrateOptions, MoveOptions } from './lib/migrate-options.ts'
import { moveLinked } from './lib/migrate-linked.ts'
import { createMoveProgress, reportText, type MigrateReport, type MoveProgress } from './lib/migrate-text.ts'
import { guardedFetch } from './lib/guarded-fetch.ts'
import { nodeAt, type NodeOptions } from './lib/node.ts'
import { jsonText, printable } from './lib/text.ts'

/** `migrate`. */
export function addMigrate(program: Command, context: CommandContext): void {
  program
    .command('migrate')
    .summary('move an avatar from one operator to another')
    .description(
      'Copies all live records of an avatar from one host to another, until both hosts show the same. This machine ' +
        'verifies each record, so you need to trust neither host, and you need no permission from the old one. You can ' +
        'interrupt the command and run it again at any time. The command first shows what the new host says about itself, and ' +
        'at a terminal asks whether to move there. With HTTP addresses, records go from the old host to the new ' +
        'one. With multiaddrs, the hosts exchange records in both directions.',
    )
    .argument('<avatar>', 'the avatar', avatarArgument)
    .option(
      '--from <address>',
      'address of the old host: http://… or a multiaddr (default, or if it is the avatar: find it)',
    )
    .addOption(allowPrivateOption())
    .option('--to <address>', 'address of the new host: http://… or a multiaddr')
    .option(
      '--from-v1 <url>',
      'the old host is a service of version 1: sign its content again, with --key or --unsigned',
    )
    .option(
      '--unsigned <file>',
      'with --from-v1: sign nothing, but write the payloads to a file for a wallet; then use put --signed',
    )
    .option('--skip-invalid', 'with --from-v1: leave out values that records cannot hold')
    .option('--replace', 'with --from-v1: replace the content that the new host already shows')
    .option('--yes', 'do not ask whether to move to this host, and with --replace whether to replace its content')
    .option('--no-links', 'leave the avatars to which this one links at the old host')
    .option('--watch', 'afterwards keep both hosts equal, until you stop it with Ctrl-C')
    .option(
      '--network <name>',
      'name of the network (default: the one that the hosts name; main if both are multiaddrs)',
    )
    .option('--work-dir <dir>', 'store the progress in this folder; the next run resumes from there')
    .option('--key <file>', 'afterwards add the new host to the homes that the avatar lists, signed with this key')
    .option('--update-homes', `the same, but do not ask; the default key is ${DEFAULT_KEY_FILE}`)
    .option('--home <address>', 'the address to list (default: that of --to)')
    .option('--leave-old', 'remove the old host from the list of homes')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv migrate 0x02… --to https://new.example.org
  $ avatar-kv migrate 0x02… --from https://old.example.org --to https://new.example.org
  $ avatar-kv migrate 0x02… --from https://old.example.org --to /dns4/new.example.org/tcp/4382 --work-dir moving
  $ avatar-kv migrate 0x02… --from http://127.0.0.1:4381 --to http://127.0.0.1:4391 --watch
  $ avatar-kv migrate 0x02… --from https://old.example.org --to https://new.example.org --key avatar.key --leave-old
  $ avatar-kv migrate 0x02… --from-v1 https://kv-service.next.id --to http://127.0.0.1:4381 --key avatar.key`,
    )
    .action((avatar: Avatar, options: MigrateOptions) => runMigrate(avatar, options, context))
}

async function runMigrate(avatar: Avatar, options: MigrateOptions, context: CommandContext): Promise<void> {
  const { to, network, workDir } = options
  if (options.fromV1 !== undefined) return await runFromV1(avatar, { ...options, fromV1: options.fromV1 }, context)
  if (to === undefined) {
    throw new CliError('usage', 'Name the new host: --to ADDRESS, http://… or a multiaddr.')
  }
  const isFound = options.from === undefined || namesAvatar(options.from, avatar)
  if (isFound && options.watch === true) {
    throw new CliError('usage', '--watch also writes to the old host: name that host with --from ADDRESS.')
  }
  const finding = { allowPrivate: options.allowPrivate === true }
  const from = isFound
    ? await (await import('./lib/migrate-from.ts')).findOldHost(avatar, to, finding, context)
    : options.from
  if (from === to) throw new CliError('usage', '--from and --to are the same host.')
  const secretKey = await readKey(avatar, options, context)
  await agreeOnHost(avatar, { ...options, to }, context)
  const guard = isFound ? { fetch: guardedFetch(finding.allowPrivate) } : {}
  const subject = { avatar, network, from: hostOf(from, guard), to: hostOf(to) }
  const stop = onStopSignal()
  const progress = createMoveProgress(context)
  try {
    // Loaded here, so that other commands start without the database, libp2p and the native libraries.
    const { openMigration } = await import('../migrate/run.ts')
    const running = { environment: context.environment, progress: progress.at, signal: stop.signal }
    const migration = await openMigration(running, {
      ...subject,
      workDir: workDir === undefined ? undefined : resolve(context.cwd, workDir),
    })
    const openLinked = (linked: Avatar) => openMigration(running, { ...subject, avatar: linked, workDir: undefined })
    try {
      await runOpen(migration, { ...options, from, to }, context, secretKey, progress, openLinked)
    } finally {
      await migration.close()
    }
  } finally {
    progress.end()
    stop.forget()
  }
}

async function runFromV1(
  avatar: Avatar,
  { to, from, watch, ...options }: MigrateOptions & { readonly fromV1: string },
  context: CommandContext,
): Promise<void> {
  if (to === undefined || to.startsWith('/')) {
    throw new CliError('usage', 'With --from-v1, --to is the HTTP address of the new host: http://…')
  }
  if (from !== undefined || watch !== undefined) {
    throw new CliError(
      'usage',
      '--from-v1 cannot be used with --from or --watch: version 1 has no records to move. Leave them out.',
    )
  }
  const { migrateFromV1 } = await import('./lib/migrate-v1.ts')
  await migrateFromV1({ ...options, avatar, to }, context)
}

/** Whether a text is the avatar, in any of its forms. */
function namesAvatar(text: string, avatar: Avatar): boolean {
  try {
    return parseAvatar(text) === avatar
  } catch {
    return false
  }
}

function hostOf(address: string, guard: Pick<NodeOptions, 'fetch'> = {}): HostAddress {
  if (address.startsWith('/')) return { multiaddr: address }
  const node = nodeAt(address, { timeoutMs: HTTP_TIMEOUT_MS, ...guard })
  return createHttpHost(address, node, (error) => toCliError(error).message)
}

async function readKey(
  avatar: Avatar,
  { key, updateHomes, leaveOld, home }: MigrateOptions,
  context: CommandContext,
): Promise<Uint8Array | undefined> {
  if (key === undefined && updateHomes !== true) {
    if (leaveOld === true || home !== undefined) {
      throw new CliError(
        'usage',
        '--leave-old and --home change the list of homes, which you must sign: add --key FILE.',
      )
    }
    return undefined
  }
  return await readKeyOf(context, key ?? DEFAULT_KEY_FILE, avatar)
}

async function runOpen(
  migration: OpenMigration,
  options: MoveOptions,
  context: CommandContext,
  secretKey: Uint8Array | undefined,
  progress: MoveProgress,
  openLinked: (avatar: Avatar) => Promise<OpenMigration>,
): Promise<void> {
  const { staging, from } = migration
  const { migrate } = await import('../migrate/migrate.ts')
  const moved = await migrate(migration)
  const linked = options.links !== false ? await moveLinked(migration, openLinked) : []
  progress.end()
  const homes = await updateHomes(migration, moved, options, context, secretKey)
  const { head, digest, gaps } = (await staging.avatarStatus()) ?? moved.status
  const report: MigrateReport = {
    avatar: staging.avatar,
    network: staging.network,
    from: options.from,
    to: options.to,
    outcome: moved.outcome,
    moved: { read: moved.taken, given: moved.given, extra: moved.extra },
    rounds: moved.rounds,
    head,
    digest,
    pending: gaps?.pending ?? 0,
    missing: gaps?.total ?? 0,
    bad_records: from.faults.count,
    receipt: await receiptOf(options.to, staging.avatar, context),
    homes: homes ?? null,
    linked,
  }
  context.out(options.json === true ? jsonText(report) : reportText(report))
  for (const example of from.faults.examples) {
    context.note(`Warning: ${options.from} sent a bad record, which was left out: ${printable(example)}`)
  }
  const failed = linked.filter(({ problem }) => problem !== null)
  for (const { avatar, problem } of failed) {
    context.note(`Warning: the linked avatar ${avatar} was not moved: ${printable(problem ?? '')}`)
  }
  if (options.watch === true) await keepEqual(migration, moved, options, context)
}

async function receiptOf(to: string, avatar: Avatar, context: CommandContext): Promise<Receipt | null> {
  if (to.startsWith('/')) return null
  try {
    return (await nodeAt(to).receipt(avatar, (value) => readReceipt(avatar, value))) ?? null
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    context.note(`Warning: ${to} gave no receipt: ${toCliError(error).message}`)
    return null
  }
}

async function keepEqual(
  migration: OpenMigration,
  moved: Moved,
  { from, to, json }: MoveOptions,
  context: CommandContext,
): Promise<void> {
  const { watch } = await import('../migrate/watch.ts')
  await migration.to.settled()
  if (moved.outcome === 'equal') await migration.from.settled()
  context.note('This command now keeps both hosts equal. Stop it with Ctrl-C.')
  await watch(migration, {
    moved(toTarget, toSource, status) {
      const digest = status?.digest ?? null
      if (json === true) context.out(jsonText({ to_target: toTarget, to_source: toSource, head: status?.head, digest }))
      else context.note(`${toTarget} to ${to}, ${toSource} to ${from}; head ${status?.head}, digest ${digest}`)
    },
    failed: (problem) => context.note(`Warning: ${printable(problem)} The command tries again.`),
    recovered: () => context.note('The hosts work again.'),
  })
}

/** A signal that SIGINT or SIGTERM aborts. A second SIGINT or SIGTERM ends the process. */
function onStopSignal(): { readonly signal: AbortSignal; forget(): void } {
  const controller = new AbortController()
  const stop = (): void => controller.abort()
  const names = ['SIGINT', 'SIGTERM'] as const
  for (const name of names) process.once(name, stop)
  return {
    signal: controller.signal,
    forget() {
      for (const name of names) process.off(name, stop)
    },
  }
}
