import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'

import type { Manifest } from '../backup/manifest.ts'
import { jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { silentComponents } from './lib/lazy-parts.ts'
import { createProgress } from './lib/progress.ts'
import { countText, jsonText, printable, timeText } from './lib/text.ts'

/** `restore`. */
export function addRestore(program: Command, context: CommandContext): void {
  program
    .command('restore')
    .summary('make a data directory from a backup')
    .description(
      'Makes a new data directory from a backup. It verifies each record again and compares the result with the ' +
        'backup. Records written since then come from peers once the node runs. Clients that follow events start ' +
        'again from the beginning. If you interrupt a restore, run the same command again: no node starts on an ' +
        'unfinished directory.',
    )
    .argument('<dir>', 'the backup')
    .requiredOption('--data-dir <dir>', 'the data directory to make; it must be new or empty')
    .option('--with-key', 'take over the peer key of the node in the backup; that node must never run again')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv restore /backups/monday --data-dir /var/lib/avatar-kv-new
  $ avatar-kv start --data-dir /var/lib/avatar-kv-new`,
    )
    .action(async (dir: string, options: { dataDir: string; withKey?: true; json?: true }) => {
      const [{ readBackup }, { beginTarget, finishTarget }, { isInUse }] = await Promise.all([
        import('../backup/read.ts'),
        import('../backup/target.ts'),
        import('../offline/open.ts'),
      ])
      const path = resolve(context.cwd, dir)
      const dataDir = resolve(context.cwd, options.dataDir)
      const manifest = await readBackup(path)
      const files = await filesToRestore(path, manifest, options.withKey === true)
      await beginTarget(dataDir, isInUse)
      const epoch = await restoreStore(context, path, dataDir, manifest)
      await finishTarget(dataDir, files)
      const { avatars, records, created_at, network, peer_id } = manifest
      const identity = options.withKey ? peer_id : null
      if (options.json) {
        context.out(jsonText({ data_dir: dataDir, avatars, records, network, created_at, epoch, peer_id: identity }))
      } else {
        const what = `${countText(records, 'record')} of ${countText(avatars, 'avatar')}, as of ${timeText(created_at)}`
        context.out(`restored  ${what}, to ${printable(dataDir)}; network ${network}`)
      }
      if (identity !== null) {
        context.note(
          `Warning: this is the node ${identity} now. Two nodes must never run with one key: see that the old one is gone.`,
        )
      }
    })
}

/** Files of the backup that go back as they are. */
async function filesToRestore(path: string, manifest: Manifest, withKey: boolean): Promise<Record<string, Uint8Array>> {
  const { HOSTING_FILE, KEY_FILE } = await import('../backup/manifest.ts')
  if (withKey && manifest.files[KEY_FILE] === undefined) {
    throw new CliError('failed', `The backup holds no key. Leave out --with-key, and the node gets a new identity.`)
  }
  const files: Record<string, Uint8Array> = {}
  for (const name of withKey ? [HOSTING_FILE, KEY_FILE] : [HOSTING_FILE]) {
    if (manifest.files[name] !== undefined) files[name] = await readFile(join(path, name))
  }
  return files
}

/** Fills a new store with the records of a backup. Returns the epoch of the store. */
async function restoreStore(
  context: CommandContext,
  path: string,
  dataDir: string,
  manifest: Manifest,
): Promise<string> {
  const [{ restoreRecords }, { importDoor }, { openWholeStore }] = await Promise.all([
    import('../backup/restore.ts'),
    import('../ingest/retry.ts'),
    import('../offline/open.ts'),
  ])
  const { network } = manifest
  const place = await openWholeStore({ dataDir, network }, await silentComponents(context), { create: true })
  if (place === undefined) throw new CliError('failed', `No store can be made in ${dataDir}.`)
  const progress = createProgress(context, {
    label: 'restore',
    totalRecords: manifest.records,
    interrupted: 'No node starts on the unfinished directory. Run the same command again.',
  })
  try {
    const submit = importDoor(place.ingest, context.environment.timers)
    await restoreRecords(path, manifest, { submit, store: place.store, onProgress: (state) => progress.at(state) })
    return place.store.epoch
  } finally {
    progress.end()
    await place.close()
  }
}
