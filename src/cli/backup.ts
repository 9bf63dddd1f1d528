import { resolve } from 'node:path'
import type { Command } from 'commander'

import { jsonOption } from './lib/arguments.ts'
import { dataDirConfig, withPlace, type PlaceOptions } from './lib/archive-place.ts'
import type { CommandContext } from './lib/context.ts'
import { createProgress, sizeText } from './lib/progress.ts'
import { countText, jsonText, printable } from './lib/text.ts'

/** `backup`. */
export function addBackup(program: Command, context: CommandContext): void {
  withPlace(program.command('backup').summary('copy everything that a node holds to a new directory'), context)
    .description(
      'For operators: writes all records of a node, and its hosting lists, to a new directory. The node may run or ' +
        'not, and may take writes meanwhile; the backup holds one moment. Your configuration is not part of it, and ' +
        'the peer key only with --with-key: anyone with that key can act as this node. If you interrupt a backup, it ' +
        'leaves no directory. Run it again.',
    )
    .argument('<dir>', 'the directory to make')
    .option('--with-key', 'include the secret peer key of the node')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv backup /backups/monday
  $ avatar-kv backup /backups/monday --data-dir /var/lib/avatar-kv --node http://127.0.0.1:4381
  $ avatar-kv restore /backups/monday --data-dir /var/lib/avatar-kv-new`,
    )
    .action(async (dir: string, options: PlaceOptions & { withKey?: true; json?: true }) => {
      const [{ writeBackup }, { openBackupStream, readDataFiles, readPeerId }] = await Promise.all([
        import('../backup/write.ts'),
        import('./lib/backup-source.ts'),
      ])
      const path = resolve(context.cwd, dir)
      const config = await dataDirConfig(context, options)
      const stream = await openBackupStream(context, config, options.node)
      const progress = createProgress(context, {
        label: 'backup',
        interrupted: `There is no backup in ${printable(dir)}. Run the same command again; it removes ${printable(dir)}.part.`,
      })
      try {
        let bytes = 0
        const chunks = (async function* () {
          for await (const chunk of stream.chunks) {
            bytes += chunk.length
            progress.at({ records: 0, bytes })
            yield chunk
          }
        })()
        const files = await readDataFiles(config.dataDir, options.withKey === true)
        const peer_id = await readPeerId(config.dataDir)
        const manifest = await writeBackup(path, { chunks, files, facts: () => ({ ...stream.end(), peer_id }) })
        progress.end()
        if (options.json) return context.out(jsonText({ directory: path, ...manifest }))
        const { avatars, records } = manifest
        const size = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0)
        context.out(
          `backed up  ${countText(records, 'record')} of ${countText(avatars, 'avatar')}, ${sizeText(size)}, to ${printable(path)}`,
        )
        if (options.withKey) context.note('It holds the secret key of the node: keep it from others.')
      } finally {
        progress.end()
        await stream.close()
      }
    })
}
