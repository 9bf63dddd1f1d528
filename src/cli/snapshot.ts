import type { Command } from 'commander'

import { checkNode, type NodeCheck } from '../client/check-node.ts'
import type { NodeApi } from '../client/node-api.ts'
import type { PlannedSnapshot } from '../client/snapshot-plan.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { avatarOf } from '../record/keys.ts'
import type { Avatar, StateEntry, VerifiedRecord } from '../record/types.ts'
import { jsonOption, nodeOption } from './lib/arguments.ts'
import { askLine, confirm } from './lib/ask.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { DEFAULT_KEY_FILE, readKeyFile } from './lib/key-file.ts'
import { nodeAt } from './lib/node.ts'
import { countText, jsonText, printable, table, timeText } from './lib/text.ts'

/** Another device that was offline for less may well have written meanwhile. */
const RECENT_SECONDS = 600
/** Hex digits of the avatar, after `0x`, that are typed to erase. */
const TYPED_DIGITS = 10
const CITABLE_TIPS = 16

interface SnapshotOptions {
  readonly key: string
  readonly erase?: true
  readonly yes?: true
  readonly node: string
  readonly json?: true
}

interface Amounts {
  readonly records: number
  /** Payloads and signatures. */
  readonly bytes: number
  readonly namespaces: number
}

/** `snapshot`. */
export function addSnapshot(program: Command, context: CommandContext): void {
  program
    .command('snapshot')
    .summary('replace the history of your avatar by one signed snapshot')
    .description(
      'Reads all records of the avatar of your key, verifies them on this machine, and signs one snapshot that holds its ' +
        'content (in parts, where it is large). Nodes then drop the records that it stands for. With --erase, the snapshot ' +
        'is empty: nodes drop everything that the avatar has written. A run that was cut goes on when it is run again.',
    )
    .option('--key <file>', 'file with the secret key', DEFAULT_KEY_FILE)
    .option('--erase', 'sign the empty state, after a confirmation that you type')
    .option('--yes', 'go on whatever the warnings')
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv snapshot
  $ avatar-kv snapshot --key alice.key --node http://192.0.2.7:4381 --yes
  $ avatar-kv snapshot --erase`,
    )
    .action(async (options: SnapshotOptions) => {
      const secretKey = await readKeyFile(context, options.key)
      await snapshot(context, nodeAt(options.node), secretKey, options)
    })
}

async function snapshot(
  context: CommandContext,
  api: NodeApi,
  secretKey: Uint8Array,
  options: SnapshotOptions,
): Promise<void> {
  // Loaded here, so that other commands start without the native libraries.
  const [{ selectEngine }, { planOn, signPlan }, { submitSnapshot, meanwhileTexts }] = await Promise.all([
    import('../verify/select-engine.ts'),
    import('../client/snapshot-plan.ts'),
    import('./lib/snapshot-submit.ts'),
  ])
  const erase = options.erase === true
  const avatar = avatarOf(secretKey)
  const engine = await selectEngine()
  const check = await verified(api, engine, avatar)
  const before = amountsBefore(check)
  if (isCompact(check, erase)) {
    if (options.json) return context.out(jsonText({ avatar, status: 'unchanged', base: check.fold.base, before }))
    return context.out(`${avatar} is one snapshot already; there is nothing to ${erase ? 'erase' : 'compact'}.`)
  }

  const now = Math.floor(context.environment.clock.now() / 1000)
  const namespaces = erase ? [] : check.fold.namespaces
  const subject = { avatar, network: check.document.network, namespaces, now, keccak: engine.keccak256, erase }
  const planned = planOn(check, subject)
  const warnings = warningsOf(check, now, planned, erase)
  if (planned.resumed) context.note('An earlier run has begun this snapshot; only what is missing is still to be sent.')
  for (const warning of warnings) context.note(`Warning: ${warning}`)
  context.note(comparison(before, amountsAfter(planned, namespaces)))
  if (erase) await confirmErasure(context, avatar, check)
  else if (warnings.length > 0) await confirm(context, 'Go on?', options.yes === true)

  const signed = signPlan(planned, secretKey)
  const held = new Set(check.records.map(({ id }) => id))
  const outcome = await submitSnapshot({ context, api, engine }, avatar, planned, signed, namespaces, held)
  for (const text of meanwhileTexts(outcome)) context.note(text)

  const { fold } = outcome.check
  const { counter, parts } = planned.plan.snapshot
  const id = planned.records[0]?.id
  const left = erase ? recordsAbove(outcome.check, planned) : []
  if (options.json) {
    const status = erase ? 'erased' : 'compacted'
    const after = amountsBefore(outcome.check)
    const { concurrent, superseded } = outcome
    const made = { snapshot: { counter, id }, parts: parts.length, resumed: planned.resumed }
    const rest = erase ? { left: left.map((record) => record.id) } : {}
    context.out(
      jsonText({
        avatar,
        status,
        ...made,
        before,
        after,
        digest: fold.digest,
        warnings,
        concurrent,
        superseded,
        ...rest,
      }),
    )
  } else {
    context.out(`${erase ? 'erased' : 'compacted'}  ${id}  counter ${counter}, ${countText(parts.length, 'part')}`)
    if (!erase) context.note(`Read back and verified: the content is unchanged, digest ${fold.digest}.`)
    else if (left.length === 0) {
      context.note(
        'The node shows nothing of this avatar any more. Nodes drop the records as they hear of it; copies elsewhere may exist.',
      )
    }
  }
  if (left.length > 0) throw leftError(left, now)
}

/** Live records that are at or above a snapshot, and no part of it. */
function recordsAbove({ records }: NodeCheck, { plan, records: own }: PlannedSnapshot): VerifiedRecord[] {
  const ids = new Set(own.map(({ id }) => id))
  return records.filter(({ id, body }) => body.counter >= plan.snapshot.counter && !ids.has(id))
}

/** Unix seconds at which a counter above all of them is allowed. */
function timeAbove(records: readonly VerifiedRecord[]): number {
  return Math.max(...records.map(({ body }) => body.counter)) + 1
}

/** What an erasure has left. */
function leftError(left: readonly VerifiedRecord[], now: number): CliError {
  const from = timeAbove(left)
  return new CliError(
    'failed',
    `${countText(left.length, 'record')} not erased: they came meanwhile, or their counters leave no room above them yet. ` +
      `Nodes keep them and pass them on. Run the same command again${from > now ? `, not before ${timeText(from)}` : ''}.` +
      left.map(({ id }) => `\n  ${id}`).join(''),
  )
}

/** What the node holds, every record verified here. */
async function verified(api: NodeApi, engine: SignatureEngine, avatar: Avatar): Promise<NodeCheck> {
  const check = await checkNode(api, engine, avatar)
  if (check === undefined) {
    throw new CliError('refused', `The node at ${api.url} has nothing of ${avatar}: there is nothing to snapshot.`)
  }
  const [difference] = check.differences
  if (difference !== undefined) {
    throw new CliError(
      'unverified',
      `What the node at ${api.url} says is not what its records say, so nothing was signed: ${printable(difference)}\n` +
        'Ask another node with --node URL.',
    )
  }
  return check
}

/** Whether the avatar is one snapshot and nothing else; to be erased, an empty one. */
function isCompact({ fold, records }: NodeCheck, erase: boolean): boolean {
  const { base, tips, live } = fold
  if (base === null || tips.length !== 1 || tips[0]?.id !== base.id) return false
  const body = records.find(({ id }) => id === base.id)?.body
  if (body?.type !== 'snapshot' || live !== 1 + body.parts.length) return false
  return !erase || fold.namespaces.length === 0
}

function amountsBefore({ fold, records }: NodeCheck): Amounts {
  const live = records.filter(({ body }) => body.counter >= (fold.base?.counter ?? 0))
  const bytes = live.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0)
  return { records: live.length, bytes, namespaces: fold.namespaces.length }
}

function amountsAfter({ records, bytes }: PlannedSnapshot, namespaces: readonly StateEntry[]): Amounts {
  return { records: records.length, bytes, namespaces: namespaces.length }
}

function comparison(before: Amounts, after: Amounts): string {
  const row = (name: keyof Amounts): string[] => [
    name,
    before[name].toLocaleString('en'),
    after[name].toLocaleString('en'),
  ]
  return table([['', 'before', 'after'], row('records'), row('bytes'), row('namespaces')])
}

const UNSEEN =
  'They are not in the content, and the snapshot may supersede them. Another node may have what is missing.'
const ERASED_UNSEEN = 'They are erased as well, and what is missing with them.'

/** What may be lost, or may be unknown here. */
function warningsOf(check: NodeCheck, now: number, planned: PlannedSnapshot, erase: boolean): string[] {
  const { fold, records } = check
  const warnings: string[] = []
  if (fold.tips.length > CITABLE_TIPS) {
    warnings.push(
      `there are ${fold.tips.length} open forks, and a snapshot can cite ${CITABLE_TIPS}. All of them are in the content, ` +
        'but the devices that wrote the others will be told that they were superseded.',
    )
  } else if (fold.tips.length > 1) {
    warnings.push(
      `there are ${fold.tips.length} open forks: several devices have written without having seen each other. ` +
        'The snapshot stands for all of them as they are merged now.',
    )
  }
  if (fold.pending > 0) {
    warnings.push(
      `${countText(fold.pending, 'write')} cannot be shown yet, for ${countText(fold.missing.length, 'record')} that this ` +
        `node does not have. ${erase ? ERASED_UNSEEN : UNSEEN}`,
    )
  } else if (fold.missing.length > 0 && !planned.resumed) {
    warnings.push(
      'another snapshot of this avatar lacks parts. If a device is still sending them, let it end; this one takes its place.',
    )
  }
  const above = erase ? recordsAbove(check, planned) : []
  if (above.length > 0) {
    warnings.push(
      `${countText(above.length, 'record')} will not be erased: no counter may be above the time, and theirs leave no room. ` +
        `Run the same command again from ${timeText(timeAbove(above))} on.`,
    )
  }
  const recent = records.filter(({ body }) => body.created_at > now - RECENT_SECONDS && body.type === 'patch').length
  if (recent > 0) {
    warnings.push(
      `${countText(recent, 'write')} of the last ${RECENT_SECONDS / 60} minutes: a device that is still writing, or that ` +
        'this node has not heard of yet, may have more, which the snapshot would supersede. Its author would have to sign it again.',
    )
  }
  return warnings
}

/** @throws CliError where the digits that were typed are not the avatar's */
async function confirmErasure(context: CommandContext, avatar: Avatar, { fold }: NodeCheck): Promise<void> {
  const digits = avatar.slice(2, 2 + TYPED_DIGITS)
  context.note(
    `This erases all that ${avatar} has written, in ${countText(fold.namespaces.length, 'namespace')}. It cannot be undone. ` +
      'Nodes that hear of it drop the records, and show nothing; copies that others have kept (archives, backups, nodes ' +
      'that keep history, nodes that never hear of it) may exist on. The key stays yours, and can write again.',
  )
  const typed = await askLine(
    context,
    `To erase, type the first ${TYPED_DIGITS} digits of the avatar after 0x (${digits}):`,
  )
  if (typed.toLowerCase().replace(/^0x/, '') !== digits) {
    throw new CliError('failed', 'These are not the digits; nothing was changed.')
  }
}
