import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'

import { codeOf, messageOf } from '../platform/errors.ts'
import { wasMade } from '../node/data-files.ts'
import { jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { silentComponents } from './lib/lazy-parts.ts'
import { createProgress } from './lib/progress.ts'
import { countText, jsonText, printable } from './lib/text.ts'

/** Files that are copied as they are, where they can be read. */
const CARRIED_FILES = ['hosting.log', 'peer.key', 'operator-token'] as const

const BEFORE_START = 'To prevent that, copy the file from a backup to the new directory before you start its node.'
const LOST: Readonly<Record<(typeof CARRIED_FILES)[number], string>> = {
  'hosting.log': `The new node begins with empty hosting lists: no avatar is listed or blocked. ${BEFORE_START}`,
  'peer.key': `The new node gets a new peer id. ${BEFORE_START}`,
  'operator-token': 'The new node makes a new one.',
}

/** `repair`. */
export function addRepair(program: Command, context: CommandContext): void {
  program
    .command('repair')
    .summary('save what is left of a damaged data directory to a new one')
    .description(
      'Makes a new data directory from one whose store no longer opens. It reads every table and log of the store, even if ' +
        'other files are missing, and stores each record whose signature verifies. It also copies the hosting list, the peer ' +
        'key and the operator token if they can be read. It changes nothing in the old directory. Stop its node first, and ' +
        'never start it again: both directories have one peer key. Lost records come from peers once the new node runs, or ' +
        'from a backup (restore). If you interrupt a repair, run the same command again: it begins from the start.',
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
  $ avatar-kv start --data-dir /var/lib/avatar-kv-new

Exit code 0: the new directory is finished; the output names damaged files, and what was left out. Exit code 1: it is not
finished, and no node starts on it.`,
    )
    .action(async (options: { dataDir: string; out: string; network?: string; json?: true }) => {
      const from = resolve(context.cwd, options.dataDir)
      const to = resolve(context.cwd, options.out)
      await mustHaveStore(from)
      const [{ beginTarget, finishTarget }, { bytesToRepair, networkOfStore, repairStore }, { isInUse }] =
        await Promise.all([import('../backup/target.ts'), import('../offline/repair.ts'), import('../offline/open.ts')])
      const network = options.network ?? (await networkOfStore(from)) ?? 'main'
      const { files, leftBehind } = await filesToCarry(context, from)
      const totalBytes = await bytesToRepair(from)
      await beginTarget(to, isInUse)
      const progress = createProgress(context, {
        label: 'repair',
        totalBytes,
        interrupted:
          `${printable(from)} is unchanged. ${printable(to)} is not finished, and no node starts on it. Run the same ` +
          `command again; it begins from the start. Or remove ${printable(to)}.`,
      })
      const parts = await silentComponents(context)
      const report = await repairStore({ from, to, network }, parts, (state) => progress.at(state)).finally(() =>
        progress.end(),
      )
      const { avatars, records, invalid, refused, damagedFiles, epoch } = report
      if (records === 0) {
        throw new CliError(
          'failed',
          `No record in ${printable(from)} verifies for the network ${printable(network)}. Name its network with --network ` +
            `and run the command again, or restore a backup (avatar-kv restore). ${printable(to)} is not finished, and no ` +
            'node starts on it.',
        )
      }
      await finishTarget(to, files)
      const carried = Object.keys(files)
      if (options.json) {
        const saved = { data_dir: to, avatars, records, network, epoch, carried, left_behind: leftBehind }
        context.out(jsonText({ ...saved, invalid, refused, damaged_files: damagedFiles }))
        return
      }
      const what = `${countText(records, 'record')} of ${countText(avatars, 'avatar')}`
      context.out(`repaired  ${what}, to ${printable(to)}; network ${printable(network)}`)
      if (carried.length > 0) context.out(`carried   ${carried.join(', ')}`)
      for (const file of damagedFiles) context.note(`Damaged: ${printable(file)}. Its readable records were saved.`)
      if (invalid > 0) context.note(`${countText(invalid, 'record')} failed verification, and were left out.`)
      for (const [code, count] of Object.entries(refused)) {
        context.note(`${countText(count, 'record')} left out: ${printable(code)}.`)
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

async function filesToCarry(
  context: CommandContext,
  from: string,
): Promise<{ files: Record<string, Uint8Array>; leftBehind: string[] }> {
  const files: Record<string, Uint8Array> = {}
  const leftBehind: string[] = []
  for (const name of CARRIED_FILES) {
    try {
      files[name] = await readFile(join(from, name))
    } catch (error) {
      const isGone = codeOf(error) === 'ENOENT'
      if (isGone && !(await wasMade(from, name))) continue
      leftBehind.push(name)
      const why = isGone ? 'is missing' : `cannot be read (${printable(messageOf(error))})`
      context.note(`Warning: ${name} ${why}. ${LOST[name]}`)
    }
  }
  return { files, leftBehind }
}
