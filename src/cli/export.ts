import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'

import { archivePath, download, MAX_DOWNLOAD_AVATARS } from '../client/download.ts'
import { readStatus } from '../client/node-info.ts'
import { archiveName, MAX_NAMED_AVATARS } from '../archive/format.ts'
import type { ArchiveHeader } from '../archive/format.ts'
import { limitHeapGrowth } from '../platform/v8-flags.ts'
import type { Avatar } from '../record/types.ts'
import { avatarsArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import { writeFileWhole, writeOut } from './lib/archive-files.ts'
import { checkPlace, dataDirConfig, dataDirOption, openPlace } from './lib/archive-place.ts'
import type { PlaceOptions } from './lib/archive-place.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { nodeAt } from './lib/node.ts'
import { createProgress, sizeText } from './lib/progress.ts'
import { withLinked, withLinkedOfNode, type WithLinked } from './lib/export-links.ts'
import { countText, jsonText, listText, printable } from './lib/text.ts'

/** Linked avatars that are listed one by one. */
const MAX_LISTED = 20

interface ExportOptions extends PlaceOptions {
  readonly all?: true
  readonly out?: string
  readonly gzip?: true
  readonly history?: true
  readonly force?: true
  readonly links: boolean
  readonly json?: true
}

/** What `export --json` prints. */
export interface ExportReport {
  /** Absolute path; null for standard output. */
  readonly file: string | null
  readonly network: string
  readonly avatars: readonly Avatar[] | 'all'
  /** Null for an archive from a node that went to standard output unread. */
  readonly records: number | null
  /** As written. */
  readonly bytes: number
  readonly gzip: boolean
}

/** The bytes of an archive, from a node or a data directory. */
interface Source {
  readonly network: string
  /** Undefined for all. */
  readonly avatars: readonly Avatar[] | undefined
  readonly chunks: AsyncIterable<Uint8Array>
  /** Records so far; undefined for an archive from a node, which must be checked. */
  records(): number | undefined
  readonly totalRecords: number | undefined
  close(): Promise<void>
}

/** `export`. */
export function addExport(program: Command, context: CommandContext): void {
  program
    .command('export')
    .summary('write signed records to an archive')
    .description(
      'Writes the signed records of some avatars, or of all, to one file: an archive. Anyone can check it (verify), ' +
        'and any node can store it (import). An archive holds one moment, even if the node takes writes meanwhile. If ' +
        'you interrupt an export, it leaves no file. Run it again. The avatars to which the named ones link come along.',
    )
    .argument('[avatars...]', 'the avatars: public keys in hex', avatarsArgument)
    .option('--all', 'export all avatars')
    .option('--out <file>', 'the file, or - for standard output (default: a name made of network, avatar and time)')
    .option('--gzip', 'compress the archive with gzip')
    .option('--history', 'include superseded records that the node still has')
    .option('--no-links', 'leave out the avatars to which the named ones link')
    .option('--force', 'replace an existing file')
    .addOption(nodeOption(context.env))
    .addOption(dataDirOption())
    .option('--network <name>', 'with --data-dir: its network (default: main)')
    .option('--config <file>', 'with --data-dir: the configuration of its node')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv export 0x02b4…c1 --out alice.avatar-kv.ndjson
  $ avatar-kv export --all --gzip --node http://192.0.2.7:4381
  $ avatar-kv export --all --history --data-dir /var/lib/avatar-kv --out - | ssh backup 'cat > all.avatar-kv.ndjson'`,
    )
    .action(async (avatars: readonly Avatar[], options: ExportOptions, command: Command) => {
      checkPlace(command, options)
      if (avatars.length === 0 && options.all !== true) {
        throw new CliError('usage', 'Name the avatars to export, or say --all.')
      }
      if (avatars.length > 0 && options.all === true)
        throw new CliError('usage', 'Name avatars or say --all, not both.')
      if (avatars.length > MAX_NAMED_AVATARS) {
        throw new CliError('usage', `An archive names at most ${MAX_NAMED_AVATARS} avatars; say --all.`)
      }
      await runExport(context, options.all === true ? undefined : [...new Set(avatars)].sort(), options)
    })
}

async function runExport(
  context: CommandContext,
  named: readonly Avatar[] | undefined,
  options: ExportOptions,
): Promise<void> {
  const limitAgain = limitHeapGrowth()
  const source =
    options.dataDir === undefined
      ? await fromNode(context, named, options)
      : await fromDataDir(context, named, options, await dataDirConfig(context, options))
  const { avatars } = source
  const isGzip = options.gzip === true
  const progress = createProgress(context, {
    label: 'export',
    interrupted: 'No file was written. Run the same command again.',
    totalRecords: source.totalRecords,
  })
  let written = 0
  const shown = (async function* () {
    for await (const chunk of source.chunks) {
      written += chunk.length
      progress.at({ records: source.records() ?? 0, bytes: written })
      limitAgain()
      yield chunk
    }
  })()
  let records = source.records
  let file: string | null = null
  let bytes: number
  try {
    if (options.out === '-') bytes = await writeOut(shown, context.stdout)
    else {
      const created_at = Math.floor(context.environment.clock.now() / 1000)
      const header: ArchiveHeader = {
        created_at,
        network: source.network,
        ...(avatars === undefined ? {} : { avatars }),
      }
      file = resolve(context.cwd, options.out ?? archiveName(header, isGzip))
      bytes = await writeFileWhole(shown, file, {
        force: options.force === true,
        onInterrupt: context.onInterrupt,
        async check(part) {
          if (source.records() !== undefined) return
          const found = await lookThrough(part)
          records = () => found
        },
      })
    }
  } finally {
    progress.end()
    await source.close()
  }
  const report: ExportReport = {
    file,
    network: source.network,
    avatars: avatars ?? 'all',
    records: records() ?? null,
    bytes,
    gzip: isGzip,
  }
  if (file === null) {
    const text = report.records === null ? '' : `${countText(report.records, 'record')}, `
    context.note(options.json ? jsonText(report) : `exported  ${text}${sizeText(bytes)}`)
  } else if (options.json) context.out(jsonText(report))
  else context.out(`exported  ${countText(report.records ?? 0, 'record')}, ${sizeText(bytes)}, to ${printable(file)}`)
}

/** Says which avatars come along. @returns all avatars to export */
function told(context: CommandContext, { avatars, linked, absent }: WithLinked): readonly Avatar[] {
  if (linked.length > 0)
    context.note(`Linked avatars that come along (--no-links leaves them out):${listText(linked, MAX_LISTED)}`)
  if (absent.length > 0) context.note(`Linked avatars of which nothing is held here:${listText(absent, MAX_LISTED)}`)
  return avatars
}

async function fromDataDir(
  context: CommandContext,
  named: readonly Avatar[] | undefined,
  options: ExportOptions,
  config: Awaited<ReturnType<typeof dataDirConfig>>,
): Promise<Source> {
  const [{ writeArchive }, { gzip, nodePlatform }] = await Promise.all([
    import('../archive/writer.ts'),
    import('../archive/node.ts'),
  ])
  const place = await openPlace(context, config, false)
  try {
    const readSnapshot = await place.store.exportSnapshot()
    for (const avatar of named ?? []) {
      if ((await readSnapshot.summary(avatar)) !== undefined) continue
      await readSnapshot.close()
      throw new CliError('refused', `There is nothing of ${avatar} in ${config.dataDir}.`)
    }
    const isHeld = async (avatar: Avatar) => (await readSnapshot.summary(avatar)) !== undefined
    const linksOf = async (avatar: Avatar) => (await place.store.links(avatar)).map((link) => link.avatar)
    const avatars =
      named === undefined || !options.links ? named : told(context, await withLinked(named, linksOf, isHeld))
    let records = 0
    const lines = writeArchive(nodePlatform, readSnapshot, {
      network: config.network,
      createdAt: Math.floor(context.environment.clock.now() / 1000),
      ...(avatars === undefined ? {} : { avatars }),
      history: options.history === true,
      onProgress: (count) => {
        records = count
      },
    })
    const isCounted = avatars === undefined && options.history !== true
    return {
      network: config.network,
      avatars,
      chunks: options.gzip === true ? gzip(lines) : lines,
      records: () => records,
      totalRecords: isCounted ? place.store.totals().records : undefined,
      async close() {
        await readSnapshot.close()
        await place.close()
      },
    }
  } catch (error) {
    await place.close()
    throw error
  }
}

async function fromNode(
  context: CommandContext,
  named: readonly Avatar[] | undefined,
  options: ExportOptions,
): Promise<Source> {
  const api = nodeAt(options.node)
  const avatars = named === undefined || !options.links ? named : told(context, await withLinkedOfNode(api, named))
  if (avatars !== undefined && avatars.length > MAX_DOWNLOAD_AVATARS) {
    throw new CliError('usage', `A node exports at most ${MAX_DOWNLOAD_AVATARS} named avatars at once; say --all.`)
  }
  const { transport } = api
  const { network } = await readStatus(transport)
  const wanted = { avatars, history: options.history === true, gzip: options.gzip === true }
  const { chunks, close } = await download(transport, archivePath(wanted), 'The archive')
  return {
    network,
    avatars,
    chunks,
    records: () => undefined,
    totalRecords: undefined,
    close: () => Promise.resolve(close()),
  }
}

/** Checks that a node sent a whole archive. Returns the number of its records. @throws CliError if it did not */
async function lookThrough(part: string): Promise<number> {
  const [{ readArchive }, { nodePlatform }] = await Promise.all([
    import('../archive/reader.ts'),
    import('../archive/node.ts'),
  ])
  let records = 0
  for await (const event of readArchive(nodePlatform, createReadStream(part))) {
    if (event.kind === 'fault') {
      const { line, message } = event.fault
      throw new CliError('refused', `What the node sent is not a sound archive: line ${line}: ${printable(message)}`)
    }
    if (event.kind === 'end') records = event.records
  }
  return records
}
