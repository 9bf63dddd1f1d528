import { Option } from 'commander'
import type { Command } from 'commander'

import { limitHeapGrowth } from '../platform/v8-flags.ts'
import type { VerifyService } from '../verify/types.ts'
import { jsonOption } from './lib/arguments.ts'
import { openInput } from './lib/archive-files.ts'
import { checkText, faultLines, notAnArchive } from './lib/archive-text.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { loadEngine, silentComponents } from './lib/lazy-parts.ts'
import { createProgress } from './lib/progress.ts'
import { jsonText } from './lib/text.ts'

/** `verify`. */
export function addVerify(program: Command, context: CommandContext): void {
  program
    .command('verify')
    .summary('check an archive with no node')
    .description(
      'Checks an archive on this machine: the form, signature, order and citations of each record, then the header ' +
        'and the trailer. It lists what the archive holds of each avatar, and what is missing. It needs no network ' +
        'and writes nothing.',
    )
    .argument('<file>', 'the archive, compressed or not; - reads standard input')
    .addOption(new Option('--network <name>', 'the network that it must be of (default: the one that it says)'))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv verify alice.avatar-kv.ndjson
  $ avatar-kv verify all.avatar-kv.ndjson.gz --json

Exit code 0: the archive has no fault. Missing records that others cite are listed, and are no fault: an archive cannot
show more than its node had.`,
    )
    .action(async (file: string, options: { network?: string; json?: true }) => {
      const limitAgain = limitHeapGrowth()
      const input = await openInput(context, file)
      const [{ checkArchive }, { nodePlatform }, { createVerifyService }] = await Promise.all([
        import('../archive/check.ts'),
        import('../archive/node.ts'),
        import('../verify/verify-service.ts'),
      ])
      const engine = await loadEngine()
      const { logger } = await silentComponents(context)
      const progress = createProgress(context, {
        label: 'verify',
        interrupted: 'Nothing was written.',
        totalBytes: input.totalBytes,
      })
      let verifier: VerifyService | undefined
      try {
        const report = await checkArchive(nodePlatform, {
          chunks: input.chunks,
          verifierFor(network) {
            verifier = createVerifyService({ engine, logger }, { network })
            return verifier
          },
          ...(options.network === undefined ? {} : { network: options.network }),
          onProgress(records) {
            progress.at({ records, bytes: input.read() })
            limitAgain()
          },
        })
        progress.end()
        const stranger = notAnArchive(input.name, report)
        if (stranger !== undefined) throw new CliError('failed', stranger)
        context.out(options.json === true ? jsonText(report) : checkText(report))
        if (!report.sound) {
          throw new CliError('unverified', ['The archive is NOT sound:', ...faultLines(report.faults)].join('\n  '))
        }
        if (options.json !== true) context.note(report.complete ? 'sound and complete' : 'sound, but not complete')
      } finally {
        progress.end()
        await verifier?.close()
      }
    })
}
