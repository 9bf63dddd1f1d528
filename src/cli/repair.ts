import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'

import { wasMade } from '../node/data-files.ts'
import { jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError, codeOf, messageOf } from './lib/errors.ts'
import { createProgress } from './lib/progress.ts'
import { countText, jsonText, printable } from './lib/text.ts'

interface RepairOptions {
  readonly dataDir: string
  readonly out: string
  readonly network?: string
  readonly json?: true
}

/** What goes along as it is, where it can be read: who is hosted, who the node is, and what its operator shows. */
const CARRIED_FILES = ['hosting.log', 'peer.key', 'operator-token'] as const

const BEFORE_START = 'To prevent that, restore the file from a backup to the new directory before you start its node.'
const LOST: Readonly<Record<(typeof CARRIED_FILES)[number], string>> = {
  'hosting.log': `The new node begins with empty lists: nobody on the list, nobody blocked. ${BEFORE_START}`,
  'peer.key': `The new node gets a new peer id. ${BEFORE_START}`,
  'operator-token': 'The new node makes a new one.',
}

/** `repair`. */
export function addRepair(program: Command, context: CommandContext): void {
  program
    .command('repair')
    .summary('save what is left of a damaged data directory to a new one')
    .description(
      'For a store that no longer opens. Reads every table and log of it, even if other files are lost, and takes each record whose ' +
        'signature verifies into a new data directory; hosting list, peer key and operator token go along where they can ' +
        'be read. The old directory is only read: stop its node first, and never start it again, as both have one peer key. ' +
        'What could not be saved comes from peers once the new node runs, or from a backup. A repair that was interrupted ' +
        'can be run again.',
    )
    .option('--data-dir <dir>', 'the damaged data directory', './data')
    .requiredOption('--out <dir>', 'the data directory to make; it must be new or empty')
    .option('--network <name>', 'the network of the node, if its files do not tell')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv repair --data-dir /var/lib/avatar-kv --out /var/lib/avatar-kv-new
  $ avatar-kv start --data-dir /var/lib/avatar-kv-new`,
    )
    .action(async (options: RepairOptions) => {
      const from = resolve(context.cwd, options.dataDir)
      const to = resolve(context.cwd, options.out)
      await mustHaveStore(from)
      const [{ beginTarget, finishTarget }, { networkOfStore, repairStore }, { createLogger }] = await Promise.all([
        import('../backup/target.ts'),
        import('../offline/repair.ts'),
        import('../observe/logger.ts'),
      ])
      const network = options.network ?? (await networkOfStore(from)) ?? 'main'
      const files = await filesToCarry(context, from)
      await beginTarget(to)
      const progress = createProgress(context, {
        label: 'repair',
        interrupted: 'No node starts on the unfinished directory. Run the same command again.',
      })
      const parts = { environment: context.environment, logger: createLogger({ level: 'silent', pretty: false }) }
      const report = await repairStore({ from, to, network }, parts, (state) => progress.at(state)).finally(() =>
        progress.end(),
      )
      const { avatars, records, invalid, refused, damagedFiles, epoch } = report
      if (records === 0) {
        throw new CliError(
          'failed',
          `No record in ${from} verifies for the network ${network}. Name its network with --network, or restore a backup ` +
            `(avatar-kv restore). ${to} is not finished, and no node starts on it: remove it.`,
        )
      }
      await finishTarget(to, files)
      const carried = Object.keys(files)
      if (options.json) {
        const saved = { data_dir: to, avatars, records, network, epoch, carried }
        context.out(jsonText({ ...saved, invalid, refused, damaged_files: damagedFiles }))
        return
      }
      const what = `${countText(records, 'record')} of ${countText(avatars, 'avatar')}`
      context.out(`repaired  ${what}, to ${printable(to)}; network ${printable(network)}`)
      if (carried.length > 0) context.out(`carried   ${carried.join(', ')}`)
      for (const file of damagedFiles) context.note(`Damaged: ${printable(file)}. What is whole in it was saved.`)
      if (invalid > 0) context.note(`${countText(invalid, 'record')} failed verification and stayed behind.`)
      for (const [code, count] of Object.entries(refused)) {
        context.note(`${countText(count, 'record')} stayed behind: ${printable(code)}.`)
      }
      if (carried.includes('peer.key')) {
        context.note(
          'Warning: the new directory has the peer key of the old one. Never run a node on the old one again.',
        )
      }
    })
}

async function mustHaveStore(dataDir: string): Promise<void> {
  const isThere = await stat(join(dataDir, 'store')).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (isThere) return
  throw new CliError('failed', `There is no store in ${dataDir}. Name a node's data directory with --data-dir DIR.`)
}

async function filesToCarry(context: CommandContext, from: string): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {}
  for (const name of CARRIED_FILES) {
    try {
      files[name] = await readFile(join(from, name))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') {
        if (await wasMade(from, name)) context.note(`Warning: ${name} is lost. ${LOST[name]}`)
        continue
      }
      context.note(`${name} cannot be read and stays behind: ${printable(messageOf(error))}.`)
    }
  }
  return files
}
