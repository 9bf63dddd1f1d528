import type { Command } from 'commander'
import { Option } from 'commander'

import { codeOf } from '../../platform/errors.ts'
import type { DataDir } from '../../offline/data-dir.ts'
import type { Config } from '../../config/load.ts'
import type { ConfigKey } from '../../config/schema.ts'
import type { CommandContext } from './context.ts'
import { nodeOption } from './arguments.ts'
import { CliError } from './errors.ts'
import { silentComponents } from './lazy-parts.ts'

/** Options that name a node, or the data directory of a node that does not run. */
export interface PlaceOptions {
  readonly node: string
  readonly dataDir?: string
  readonly network?: string
  readonly config?: string
}

export function dataDirOption(): Option {
  return new Option('--data-dir <dir>', 'the data directory of a node that does not run, instead of --node')
}

/** Adds the options with which an operator names a node. */
export function withPlace(command: Command, context: CommandContext): Command {
  return command
    .addOption(nodeOption(context.env))
    .option('--data-dir <dir>', "the node's data directory (default: ./data, or AVATAR_KV_DATA_DIR)")
    .option('--config <file>', "the node's configuration file, if the node does not run")
    .option('--network <name>', "the node's network, if the node does not run (default: main)")
}

/** The configuration to open a data directory with. */
export async function dataDirConfig(context: CommandContext, options: PlaceOptions): Promise<Config> {
  const { loadConfig } = await import('../../config/load.ts')
  const { config, dataDir, network } = options
  return loadConfig({ flags: { config, data_dir: dataDir, network }, env: context.env, cwd: context.cwd })
}

/**
 * Opens the data directory of a configuration.
 *
 * @param create whether to make the directory if it is missing
 * @param locked the error if a node runs on the directory
 * @throws CliError if a node runs on the directory, a restore to it is unfinished, or it has no data
 */
export async function openPlace(
  context: CommandContext,
  config: Config,
  create: boolean,
  locked = nodeRuns(config.dataDir),
): Promise<DataDir> {
  await mustBeFinished(config.dataDir)
  // Loaded here, so that other commands start without the database and the native libraries.
  const { openDataDir } = await import('../../offline/data-dir.ts')
  const components = await silentComponents(context)
  const opened = await openDataDir(config, components, { create }).catch((error: unknown) => {
    throw codeOf(error) === 'locked' ? locked : error
  })
  return opened ?? noData(config.dataDir)
}

function nodeRuns(dataDir: string): CliError {
  return new CliError('failed', `A node runs on ${dataDir}: stop it, or use it with --node URL instead of --data-dir.`)
}

/** @throws CliError always */
export function noData(dataDir: string): never {
  throw new CliError(
    'failed',
    `There are no data of a node in ${dataDir}. Name its data directory with --data-dir DIR.`,
  )
}

/** The error if a node has a data directory open, but does not answer at a URL. */
export function noAnswer(dataDir: string, url: string, cause?: unknown): CliError {
  const what = `A node runs on ${dataDir}, but does not answer at ${url}.`
  return new CliError('unreachable', `${what} Name its HTTP address with --node URL.`, { cause })
}

/** Notes which of these settings of the node are a guess. The outcome depends on them. */
export function noteAssumed(context: CommandContext, { assumed }: DataDir, keys: readonly ConfigKey[]): void {
  const guesses = keys.flatMap((key) => (assumed[key] === undefined ? [] : [`${key} ${assumed[key]}`]))
  if (guesses.length === 0) return
  context.note(
    `This command does not know the settings of the node. Assumed: ${guesses.join(', ')}. Name them with --config FILE.`,
  )
}

/** @throws CliError if a restore to the directory is unfinished: the directory lacks records then */
export async function mustBeFinished(dataDir: string): Promise<void> {
  const { isRestoring } = await import('../../backup/target.ts')
  if (!(await isRestoring(dataDir))) return
  throw new CliError('failed', `A restore to ${dataDir} was not finished. Run it again, or remove the directory.`)
}

/** @throws CliError `usage` if the options name both a node and a data directory */
export function checkPlace(command: Command, options: PlaceOptions): void {
  if (options.dataDir !== undefined && command.getOptionValueSource('node') === 'cli') {
    throw new CliError('usage', 'Give either --node or --data-dir, not both.')
  }
  if (options.dataDir === undefined && (options.network ?? options.config) !== undefined) {
    throw new CliError('usage', '--network and --config go with --data-dir only: a running node knows its own.')
  }
}
