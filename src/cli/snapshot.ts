import type { Command } from 'commander'

import type { NodeCheck } from '../client/check-node.ts'
import type { NodeApi } from '../client/node-api.ts'
import type { PlannedSnapshot } from '../client/snapshot-plan.ts'
import { avatarOf } from '../record/keys.ts'
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import { jsonOption, nodeOption } from './lib/arguments.ts'
import { askLine, confirm } from './lib/ask.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { DEFAULT_KEY_FILE, readKeyFile } from './lib/key-file.ts'
import { loadEngine } from './lib/lazy-parts.ts'
import { nodeAt } from './lib/node.ts'
import { countText, jsonText, table, timeText } from './lib/text.ts'

/** A device that was offline for less may have written meanwhile. */
const RECENT_SECONDS = 600
/** Hex digits of the avatar, after `0x`, that a person types to erase it. */
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
    .summary('replace the history of your avatar with one signed snapshot')
    .description(
      'Signs one snapshot with the whole content of your avatar. Nodes then delete the older records, which makes the ' +
        'avatar smaller. The command first reads all records and verifies them on this machine. It signs large content in ' +
        'several parts. With --erase, the snapshot is empty: nodes delete everything that the avatar has written. If you ' +
        'interrupt the command, run it again: it sends only what is missing.',
    )
    .option('--key <file>', 'file with the secret key', DEFAULT_KEY_FILE)
    .option('--erase', 'sign an empty snapshot, after you confirm it by typing')
    .option('--yes', 'do not ask, even if there are warnings')
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
  const [{ planOn }, { soundCheck, submitSnapshot }] = await Promise.all([
    import('../client/snapshot-plan.ts'),
    import('./lib/snapshot-submit.ts'),
  ])
  const erase = options.erase === true
  const avatar = avatarOf(secretKey)
  const engine = await loadEngine()
  const check = await soundCheck(api, engine, avatar)
  if (check === undefined) {
    throw new CliError('refused', `The node at ${api.url} has nothing of ${avatar}, so there is nothing to snapshot.`)
  }
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
  if (planned.resumed) context.note('An earlier run began this snapshot. This run sends only what is missing.')
  for (const warning of warnings) context.note(`Warning: ${warning}`)
  const after = { records: planned.records.length, bytes: planned.bytes, namespaces: namespaces.length }
  context.note(comparison(before, after))
  if (erase) await confirmErasure(context, avatar, check)
  else if (warnings.length > 0) await confirm(context, 'Go on?', options.yes === true)

  const outcome = await submitSnapshot(context, { api, engine, avatar, planned, namespaces, check }, secretKey)
  const { fold } = outcome.check
  const { counter, parts } = planned.plan.snapshot
  const id = planned.records[0]?.id
  const left = erase ? recordsAbove(outcome.check, planned) : []
  if (options.json) {
    const { concurrent, superseded } = outcome
    context.out(
      jsonText({
        avatar,
        status: erase ? 'erased' : 'compacted',
        snapshot: { counter, id },
        parts: parts.length,
        resumed: planned.resumed,
        before,
        after: amountsBefore(outcome.check),
        digest: fold.digest,
        warnings,
        concurrent,
        superseded,
        ...(erase ? { left: left.map((record) => record.id) } : {}),
      }),
    )
  } else {
    context.out(`${erase ? 'erased' : 'compacted'}  ${id}  counter ${counter}, ${countText(parts.length, 'part')}`)
    if (!erase) context.note(`Read back and verified: the content is unchanged, digest ${fold.digest}.`)
    else if (left.length === 0) {
      context.note(
        'The node shows nothing of this avatar any more. Other nodes delete the records when they get the snapshot. Copies may exist elsewhere.',
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

/** The error if an erasure left records. */
function leftError(left: readonly VerifiedRecord[], now: number): CliError {
  const from = timeAbove(left)
  return new CliError(
    'failed',
    `${countText(left.length, 'record')} not erased: they came meanwhile, or the time does not yet allow a counter above theirs. ` +
      `Nodes still store and forward them. Run the same command again${from > now ? `, not before ${timeText(from)}` : ''}.` +
      left.map(({ id }) => `\n  ${id}`).join(''),
  )
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

function comparison(before: Amounts, after: Amounts): string {
  const row = (name: keyof Amounts): string[] => [
    name,
    before[name].toLocaleString('en'),
    after[name].toLocaleString('en'),
  ]
  return table([['', 'before', 'after'], row('records'), row('bytes'), row('namespaces')])
}

const UNSEEN = 'The content lacks them, and the snapshot may supersede them. Another node may have the missing records.'
const ERASED_UNSEEN = 'The snapshot erases them and the missing records as well.'

/** Warnings about what the snapshot may lose, and what this command cannot know. */
function warningsOf(check: NodeCheck, now: number, planned: PlannedSnapshot, erase: boolean): string[] {
  const { fold, records } = check
  const warnings: string[] = []
  if (fold.tips.length > CITABLE_TIPS) {
    warnings.push(
      `there are ${fold.tips.length} open forks, and a snapshot can cite ${CITABLE_TIPS}. The content includes all of them, ` +
        'but nodes will report the others as superseded to the devices that wrote them.',
    )
  } else if (fold.tips.length > 1) {
    warnings.push(
      `there are ${fold.tips.length} open forks: several devices wrote at the same time. ` +
        'The snapshot replaces all of them with the content as it is merged now.',
    )
  }
  if (fold.pending > 0) {
    warnings.push(
      `${countText(fold.pending, 'write')} cannot be shown yet, because this node lacks ` +
        `${countText(fold.missing.length, 'record')}. ${erase ? ERASED_UNSEEN : UNSEEN}`,
    )
  } else if (fold.missing.length > 0 && !planned.resumed) {
    warnings.push(
      'another snapshot of this avatar lacks parts. If a device is still sending them, wait for it: this snapshot replaces that one.',
    )
  }
  const above = erase ? recordsAbove(check, planned) : []
  if (above.length > 0) {
    warnings.push(
      `${countText(above.length, 'record')} will not be erased: their counters are as high as the time allows now. ` +
        `Run the same command again from ${timeText(timeAbove(above))} on.`,
    )
  }
  const recent = records.filter(({ body }) => body.created_at > now - RECENT_SECONDS && body.type === 'patch').length
  if (recent > 0) {
    warnings.push(
      `${countText(recent, 'write')} came in the last ${RECENT_SECONDS / 60} minutes. A device may have more writes ` +
        'that this node does not have yet. The snapshot would supersede them, and the device would have to sign them again.',
    )
  }
  return warnings
}

/** @throws CliError if the typed digits are not those of the avatar */
async function confirmErasure(context: CommandContext, avatar: Avatar, { fold }: NodeCheck): Promise<void> {
  const digits = avatar.slice(2, 2 + TYPED_DIGITS)
  context.note(
    `This erases all that ${avatar} has written, in ${countText(fold.namespaces.length, 'namespace')}. You cannot undo it. ` +
      'Nodes that get the snapshot delete the records and show nothing. Copies may remain: in archives and backups, on nodes ' +
      'that keep history, and on nodes that never get the snapshot. You keep the key, and can write again.',
  )
  const typed = await askLine(
    context,
    `To erase, type the first ${TYPED_DIGITS} digits of the avatar after 0x (${digits}):`,
  )
  if (typed.toLowerCase().replace(/^0x/, '') !== digits) {
    throw new CliError('failed', 'These are not the digits. Nothing was changed.')
  }
}
