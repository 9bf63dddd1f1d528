import type { Command } from 'commander'
import { Option } from 'commander'

import { codeOf } from '../../platform/errors.ts'
import type { DataDir } from '../../offline/data-dir.ts'
import type { Config } from '../../config/load.ts'
import type { ConfigKey } from '../../config/schema.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'

/** Options that say where an archive comes from or goes to. */
export interface PlaceOptions {
  readonly node: string
  readonly dataDir?: string
  readonly network?: string
  readonly config?: string
}

export function dataDirOption(): Option {
  return new Option('--data-dir <dir>', 'the data directory of a node that does not run, instead of --node')
}

/** The configuration that a data directory is opened with. */
export async function dataDirConfig(context: CommandContext, options: PlaceOptions): Promise<Config> {
  const { loadConfig } = await import('../../config/load.ts')
  const { config, dataDir, network } = options
  return loadConfig({ flags: { config, data_dir: dataDir, network }, env: context.env, cwd: context.cwd })
}

/**
 * Opens the data directory that was named.
 *
 * @throws CliError where a node runs on it, or there is none and none is to be made
 */
export async function openPlace(context: CommandContext, config: Config, create: boolean): Promise<DataDir> {
  await mustBeFinished(config.dataDir)
  // Loaded here, so that other commands start without the database and the native libraries.
  const [{ openDataDir }, { createLogger }] = await Promise.all([
    import('../../offline/data-dir.ts'),
    import('../../observe/logger.ts'),
  ])
  const logger = createLogger({ level: 'silent', pretty: false })
  try {
    const opened = await openDataDir(config, { environment: context.environment, logger }, { create })
    if (opened !== undefined) return opened
  } catch (error) {
    if (codeOf(error) !== 'locked') throw error
    const what = `A node runs on ${config.dataDir}: stop it, or talk to it with --node URL`
    throw new CliError('failed', `${what} instead of --data-dir.`)
  }
  throw new CliError(
    'failed',
    `There are no data of a node in ${config.dataDir}. Name its data directory with --data-dir DIR.`,
  )
}

/** Says which of these settings of the node, on which the outcome depends, are a guess. */
export function noteAssumed(context: CommandContext, { assumed }: DataDir, keys: readonly ConfigKey[]): void {
  const guesses = keys.flatMap((key) => (assumed[key] === undefined ? [] : [`${key} ${assumed[key]}`]))
  if (guesses.length === 0) return
  context.note(
    `The settings of its node are not known here. Assumed: ${guesses.join(', ')}. Name them with --config FILE.`,
  )
}

/** @throws CliError where a restore to the directory was not finished: what is there must not be taken for all there was */
export async function mustBeFinished(dataDir: string): Promise<void> {
  const { isRestoring } = await import('../../backup/target.ts')
  if (!(await isRestoring(dataDir))) return
  throw new CliError('failed', `A restore to ${dataDir} was not finished: run it again, or remove the directory.`)
}

/** @throws CliError `usage` where both a node and a data directory were named */
export function checkPlace(command: Command, options: PlaceOptions): void {
  if (options.dataDir !== undefined && command.getOptionValueSource('node') === 'cli') {
    throw new CliError('usage', 'Give either --node or --data-dir, not both.')
  }
  if (options.dataDir === undefined && (options.network ?? options.config) !== undefined) {
    throw new CliError('usage', '--network and --config belong to --data-dir: a node knows its own.')
  }
}
