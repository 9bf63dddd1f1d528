import type { NodeCheck } from '../../client/check-node.ts'
import { differingNamespace } from '../../client/json.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { readStatus } from '../../client/node-info.ts'
import type { PlannedSnapshot } from '../../client/snapshot-plan.ts'
import type { StateEntry } from '../../record/types.ts'
import { confirm } from './ask.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { readKeyOf } from './key-file.ts'
import { loadEngine } from './lazy-parts.ts'
import { agreeOnHost } from './migrate-consent.ts'
import type { MigrateV1Options } from './migrate-options.ts'
import { nodeAt } from './node.ts'
import type { Submission } from './snapshot-submit.ts'
import { countText, jsonText, listText, printable, table } from './text.ts'
import { unsignedText, writeUnsignedFile } from './unsigned-file.ts'
import { contentsOf, sayable, type V1Contents } from './v1-contents.ts'
import { readV1 } from './v1-reader.ts'

/** Problems and namespaces that are listed one by one. */
const MAX_LISTED = 20

/**
 * `migrate --from-v1`: signs what a service of version 1 shows of an avatar as one snapshot, sends the snapshot to a node,
 * and checks that version 1 of the node then answers the same.
 *
 * @throws CliError, SnapshotError, RecordError
 */
export async function migrateFromV1(options: MigrateV1Options, context: CommandContext): Promise<void> {
  const { avatar, fromV1, to } = options
  const secretKey = await keyOf(options, context)
  const api = nodeAt(to)
  const [{ planOn }, { soundCheck }] = await Promise.all([
    import('../../client/snapshot-plan.ts'),
    import('./snapshot-submit.ts'),
  ])
  const engine = await loadEngine()
  const read = contentsOf(avatar, await readV1(fromV1, avatar))
  if (read.namespaces.length + read.problems.length === 0) {
    throw new CliError('refused', `${fromV1} has nothing of ${avatar}.`)
  }
  const check = await soundCheck(api, engine, avatar)
  const network = check?.document.network ?? (await readStatus(api.transport)).network
  const now = Math.floor(context.environment.clock.now() / 1000)
  const uuid = '00000000-0000-4000-8000-000000000000'
  const prev = check?.fold.tips ?? []
  const contents = sayable(read, { avatar, network, prev, createdAt: now, uuids: () => uuid })
  // With `--replace` the question below is asked; with `--unsigned` nothing moves yet.
  const isAsked = options.replace === undefined && options.unsigned === undefined
  await agreeOnHost(avatar, { ...options, ...(isAsked ? {} : { yes: true }) }, context)
  context.note(`${fromV1} says of ${avatar}:\n${summary(contents.namespaces)}`)
  checkProblems(contents, options.skipInvalid === true)

  const { namespaces } = contents
  if (check !== undefined && check.fold.head > 0) {
    const differing = differingNamespace(check.fold.namespaces, namespaces)
    if (differing === undefined) {
      if (options.json)
        context.out(jsonText({ ...report(options, contents), status: 'unchanged', digest: check.fold.digest }))
      else context.out(`${api.url} has the same content already; there is nothing to do.`)
      return
    }
    await checkReplace(context, api, options, check, differing)
  }

  const planned = planOn(check, { avatar, network, namespaces, now, keccak: engine.keccak256 })
  if (planned.resumed) context.note('An earlier run began this snapshot. This run sends only what is missing.')
  if (secretKey === undefined) return await writeUnsigned(context, api, options, contents, planned)
  await move(context, options, contents, { api, engine, avatar, planned, namespaces, check }, secretKey)
}

async function keyOf(options: MigrateV1Options, context: CommandContext): Promise<Uint8Array | undefined> {
  const { avatar, key, unsigned } = options
  if ((key === undefined) === (unsigned === undefined)) {
    throw new CliError(
      'usage',
      'Version 1 has no records to move, so you sign its content again. Give --key FILE, or --unsigned FILE for a wallet.',
    )
  }
  return key === undefined ? undefined : await readKeyOf(context, key, avatar)
}

function summary(namespaces: readonly StateEntry[]): string {
  const rows = namespaces.slice(0, MAX_LISTED).map(({ platform, identity, content }) => {
    const bytes = Buffer.byteLength(JSON.stringify(content))
    return [printable(platform), printable(identity), countText(Object.keys(content).length, 'key'), `${bytes} bytes`]
  })
  const more = namespaces.length > MAX_LISTED ? `\n… and ${namespaces.length - MAX_LISTED} more` : ''
  return namespaces.length === 0 ? 'nothing that records can hold' : table(rows) + more
}

/** @throws CliError if something cannot be moved and `skip` is false, or if nothing would remain */
function checkProblems({ namespaces, problems }: V1Contents, skip: boolean): void {
  if (problems.length === 0) return
  const list = listText(problems.map(printable), MAX_LISTED)
  if (!skip) {
    throw new CliError(
      'failed',
      `Records cannot hold this, so nothing was signed:${list}\nTo leave it out, add --skip-invalid.`,
    )
  }
  if (namespaces.length === 0) throw new CliError('failed', `Nothing is left that can be moved:${list}`)
}

async function checkReplace(
  context: CommandContext,
  api: NodeApi,
  options: MigrateV1Options,
  check: NodeCheck,
  differing: Pick<StateEntry, 'platform' | 'identity'>,
): Promise<void> {
  const where = printable(`${differing.platform} ${differing.identity}`)
  const what =
    `${api.url} shows something else of this avatar already (${countText(check.fold.namespaces.length, 'namespace')}, ` +
    `different in ${where}), and a snapshot replaces all of it.`
  if (options.replace !== true) {
    throw new CliError(
      'failed',
      `${what} Nothing was signed. To replace it with the content at ${options.fromV1}, add --replace.`,
    )
  }
  await confirm(context, `${what} Replace it?`, options.yes === true)
}

async function writeUnsigned(
  context: CommandContext,
  api: NodeApi,
  options: MigrateV1Options,
  contents: V1Contents,
  planned: PlannedSnapshot,
): Promise<void> {
  const file = options.unsigned ?? ''
  await writeUnsignedFile(context, file, planned.records)
  const ids = planned.records.map(({ id }) => id)
  if (options.json) return context.out(jsonText({ ...report(options, contents), status: 'unsigned', file, ids }))
  context.out(unsignedText(file, ids.length, api.url))
  return context.note('Then run this command again: it compares the new node with the old one.')
}

async function move(
  context: CommandContext,
  options: MigrateV1Options,
  contents: V1Contents,
  submission: Submission,
  secretKey: Uint8Array,
): Promise<void> {
  const { submitSnapshot } = await import('./snapshot-submit.ts')
  const { fromV1, to } = options
  const { planned, namespaces } = submission
  const outcome = await submitSnapshot(context, submission, secretKey)
  if (outcome.concurrent === 0) await compareAnswers(context, options, contents)

  const { counter, parts } = planned.plan.snapshot
  const id = planned.records[0]?.id
  const { digest } = outcome.check.fold
  if (options.json) {
    const made = { snapshot: { counter, id }, parts: parts.length, resumed: planned.resumed }
    return context.out(jsonText({ ...report(options, contents), status: 'moved', ...made, digest }))
  }
  context.out(
    `moved  ${countText(namespaces.length, 'namespace')} from ${fromV1} to ${to}, snapshot ${id}, digest ${digest}`,
  )
  for (const problem of contents.problems) context.note(`Left out: ${printable(problem)}`)
}

/** Asks both by version 1: the new one must say what was moved; the old one may have been written to meanwhile. */
async function compareAnswers(context: CommandContext, options: MigrateV1Options, contents: V1Contents): Promise<void> {
  const { avatar, fromV1, to } = options
  const now = contentsOf(avatar, await readV1(to, avatar))
  const differing = differingNamespace(contents.namespaces, now.namespaces)
  if (differing !== undefined || now.problems.length > 0) {
    const where = differing === undefined ? (now.problems[0] ?? '') : `${differing.platform} ${differing.identity}`
    throw new CliError('unverified', `Version 1 of ${to} answers something else than ${fromV1}: ${printable(where)}`)
  }
  if (contents.problems.length > 0) return
  const then = contentsOf(avatar, await readV1(fromV1, avatar))
  if (differingNamespace(contents.namespaces, then.namespaces) !== undefined || then.problems.length > 0) {
    context.note(`${fromV1} was written to meanwhile. To move that too, run this again with --replace.`)
  }
}

function report({ avatar, fromV1, to }: MigrateV1Options, { namespaces, problems }: V1Contents) {
  return {
    avatar,
    from: fromV1,
    to,
    namespaces: namespaces.map(({ platform, identity, content }) => ({
      platform,
      identity,
      bytes: Buffer.byteLength(JSON.stringify(content)),
      keys: Object.keys(content).length,
    })),
    left_out: problems,
  }
}
