import type { Command } from 'commander'

import type { SubmitAnswer } from '../client/answers.ts'
import { readStatus } from '../client/node-info.ts'
import { recordText } from '../client/sign-patch.ts'
import { submitAll } from '../client/submit-records.ts'
import type { ImportReport } from '../ingest/import-archive.ts'
import type { Submit } from '../ingest/retry.ts'
import { limitHeapGrowth } from '../platform/v8-flags.ts'
import type { IngestResult } from '../ingest/types.ts'
import type { Avatar } from '../record/types.ts'
import { avatarsArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import { openInput } from './lib/archive-files.ts'
import { checkPlace, dataDirConfig, dataDirOption, noteAssumed, openPlace } from './lib/archive-place.ts'
import type { PlaceOptions } from './lib/archive-place.ts'
import { faultLines, importText, notAnArchive } from './lib/archive-text.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { nodeAt } from './lib/node.ts'
import { createProgress } from './lib/progress.ts'
import { countText, jsonText } from './lib/text.ts'

interface ImportOptions extends PlaceOptions {
  readonly only?: readonly Avatar[]
  readonly json?: true
}

/** Where the records go: a node, or a data directory. */
interface Door {
  readonly network: string
  readonly submit: Submit
  close(): Promise<void>
}

/** `import`. */
export function addImport(program: Command, context: CommandContext): void {
  program
    .command('import')
    .summary('store the records of an archive')
    .description(
      'Gives the records of an archive to a node, or stores them in the data directory of a stopped node. Each ' +
        'record is verified again. Faults in the archive are listed; sound records are stored all the same. You can ' +
        'interrupt an import and run it again: stored records stay as they are. A data directory does not know the ' +
        'options of its node. Without --config, or the environment variables, no quota applies, and a node in the ' +
        'mode "listed" also gets avatars that are not on its list.',
    )
    .argument('<file>', 'the archive, compressed or not; - reads standard input')
    .option('--only <avatar...>', 'only records of these avatars', avatarsArgument)
    .addOption(nodeOption(context.env))
    .addOption(dataDirOption())
    .option('--network <name>', 'with --data-dir: its network (default: main)')
    .option('--config <file>', 'with --data-dir: the configuration of its node')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv import alice.avatar-kv.ndjson
  $ avatar-kv import all.avatar-kv.ndjson.gz --only 0x02b4…c1 --node http://192.0.2.7:4381
  $ avatar-kv import all.avatar-kv.ndjson --data-dir /var/lib/avatar-kv

Exit code 0: every record asked for is stored, and the archive has no fault.`,
    )
    .action(async (file: string, options: ImportOptions, command: Command) => {
      checkPlace(command, options)
      const limitAgain = limitHeapGrowth()
      const { only } = options
      const input = await openInput(context, file)
      const door = options.dataDir === undefined ? await nodeDoor(options.node) : await dataDirDoor(context, options)
      const { importArchive } = await import('../ingest/import-archive.ts')
      const progress = createProgress(context, {
        label: 'import',
        interrupted: 'Records that were taken so far are stored. Run the same command again to import the rest.',
        totalBytes: input.totalBytes,
      })
      let report: ImportReport
      try {
        report = await importArchive({
          chunks: input.chunks,
          submit: door.submit,
          network: door.network,
          ...(only === undefined ? {} : { only: new Set(only) }),
          onProgress: ({ records }) => {
            progress.at({ records, bytes: input.read() })
            limitAgain()
          },
        })
      } finally {
        progress.end()
        await door.close()
      }
      const stranger = notAnArchive(input.name, report)
      if (stranger !== undefined) throw new CliError('failed', stranger)
      context.out(options.json === true ? jsonText(report) : importText(report))
      checkReport(report)
    })
}

/** @throws CliError if not all records were taken, or the archive has a fault */
function checkReport(report: ImportReport): void {
  const { faults, refused } = report
  const problems: string[] = []
  const isShort = faults.codes['absent_avatar'] === faults.total
  const what = isShort ? 'Something is not there:' : 'The archive is not sound:'
  if (faults.total > 0) problems.push(what, ...faultLines(faults))
  if (refused > 0) problems.push(`${countText(refused, 'record')} not taken; see above.`)
  if (faults.stopped !== null) problems.push('Nothing after that was read; what is counted above was taken.')
  else if (faults.total > 0) problems.push('All other records were taken as counted above.')
  if (problems.length > 0) throw new CliError('unverified', problems.join('\n  '))
}

/** `POST /v2/records` acknowledges every batch, and a busy node can say when to continue. */
async function nodeDoor(url: string): Promise<Door> {
  const api = nodeAt(url)
  const { network } = await readStatus(api.transport)
  return {
    network,
    async submit(records) {
      const answers = await submitAll(api, records.map(recordText), { waits: true })
      return answers.map((answer) => resultOf(answer, url))
    },
    close: () => Promise.resolve(),
  }
}

const STATUSES: ReadonlySet<string> = new Set<IngestResult['status']>([
  'stored',
  'pending',
  'duplicate',
  'superseded',
  'refused',
  'invalid',
])

function resultOf(answer: SubmitAnswer, url: string): IngestResult {
  if (STATUSES.has(answer.status)) return { id: null, ...answer } as IngestResult
  throw new CliError('refused', `The node at ${url} gave a result that this version does not know.`)
}

/** Opens or creates the directory when the first record arrives, so that a file that is not an archive changes nothing. */
async function dataDirDoor(context: CommandContext, options: PlaceOptions): Promise<Door> {
  const config = await dataDirConfig(context, options)
  let opened: ReturnType<typeof open> | undefined

  async function open() {
    const [{ importDoor }, place] = await Promise.all([import('../ingest/retry.ts'), openPlace(context, config, true)])
    noteAssumed(context, place, [
      'hosting_mode',
      'quota_avatar_bytes',
      'quota_avatar_records',
      'quota_total_bytes',
      'quota_total_records',
    ])
    return { submit: importDoor(place.ingest, context.environment.timers), close: () => place.close() }
  }

  return {
    network: config.network,
    submit: async (records) => (await (opened ??= open())).submit(records),
    close: async () => (await opened?.catch(() => undefined))?.close(),
  }
}
