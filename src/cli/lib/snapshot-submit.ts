/** Sends a snapshot to a node, and checks what the node then shows. */
import { checkNode, type NodeCheck } from '../../client/check-node.ts'
import { differingNamespace } from '../../client/json.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { signPlan, type PlannedSnapshot } from '../../client/snapshot-plan.ts'
import { submitAll } from '../../client/submit-records.ts'
import type { SignatureEngine } from '../../record/engine.ts'
import { createSigningKey } from '../../record/sign.ts'
import type { Avatar, RecordId, StateEntry } from '../../record/types.ts'
import { foldRecords } from '../../state/fold.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { refusalsText } from './refusals-text.ts'
import { countText, printable } from './text.ts'

/** What the node holds after it accepted a snapshot. */
export interface Outcome {
  readonly check: NodeCheck
  /** Patches that others wrote meanwhile, and that apply on top of the snapshot. */
  readonly concurrent: number
  /** Patches that came meanwhile and that the snapshot superseded: their authors must sign them again. */
  readonly superseded: readonly RecordId[]
}

/** A snapshot that is to replace what a node holds of an avatar. */
export interface Submission {
  readonly api: NodeApi
  readonly engine: SignatureEngine
  readonly avatar: Avatar
  readonly planned: PlannedSnapshot
  readonly namespaces: readonly StateEntry[]
  /** What the node held when the snapshot was planned; undefined if it did not know the avatar. */
  readonly check: NodeCheck | undefined
}

/**
 * Reads what a node holds of an avatar, and verifies it here.
 *
 * @returns undefined if the node does not know the avatar
 * @throws CliError `unverified` if the node does not show what its records say
 */
export async function soundCheck(
  api: NodeApi,
  engine: SignatureEngine,
  avatar: Avatar,
): Promise<NodeCheck | undefined> {
  const check = await checkNode(api, engine, avatar)
  const [difference] = check?.differences ?? []
  if (difference === undefined) return check
  throw new CliError(
    'unverified',
    `Nothing was signed: the node at ${api.url} shows something else than its records say: ${printable(difference)}\n` +
      'Ask another node.',
  )
}

/**
 * Signs a snapshot and sends it to a node, before its parts: a full node accepts parts only if it has the snapshot that names
 * them. Then reads everything back, verifies it here, and compares. Notes which writes came meanwhile.
 *
 * @throws CliError if the node did not accept all, or does not show what was signed
 */
export async function submitSnapshot(
  context: CommandContext,
  submission: Submission,
  secretKey: Uint8Array,
): Promise<Outcome> {
  const { api, engine, avatar, planned } = submission
  const signed = signPlan(planned, createSigningKey(secretKey, engine))
  const onSent = (sent: number): void => context.note(`${sent} of ${signed.length} records sent …`)
  const answers = await submitAll(api, signed, { waits: true, onSent })
  if (answers[0]?.status === 'superseded') {
    throw new CliError(
      'refused',
      'Another device made a newer snapshot of this avatar meanwhile. Look at it first (avatar-kv log).',
    )
  }
  const refusals = refusalsText(answers)
  if (refusals !== undefined) {
    throw new CliError(
      'refused',
      `The node at ${api.url} did not accept the whole snapshot, so it has no effect yet. ${refusals}\n` +
        'Run the same command again: it sends only what is missing.',
    )
  }

  const check = await checkNode(api, engine, avatar)
  if (check === undefined || check.differences.length > 0) {
    throw new CliError(
      'unverified',
      `The node at ${api.url} accepted the snapshot, but shows something else than its records say: ` +
        `${printable(check?.differences[0] ?? 'it has nothing of the avatar')}`,
    )
  }
  const outcome = judge(submission, check)
  for (const text of meanwhileTexts(outcome)) context.note(text)
  return outcome
}

function judge({ api, avatar, planned, namespaces, check: before }: Submission, check: NodeCheck): Outcome {
  const ours = new Set(planned.records.map(({ id }) => id))
  const { counter } = planned.plan.snapshot
  const { base } = check.fold
  if (base === null || (base.id !== planned.records[0]?.id && base.counter < counter)) {
    throw new CliError('unverified', `The node at ${api.url} accepted the whole snapshot, but does not use it.`)
  }
  if (base.id !== planned.records[0]?.id) {
    throw new CliError(
      'refused',
      'Another device replaced this snapshot by its own meanwhile. Look at that one first (avatar-kv log).',
    )
  }
  const alone = foldRecords(
    avatar,
    check.records.filter(({ id }) => ours.has(id)),
  )
  const differing = differingNamespace(namespaces, alone.namespaces)
  if (differing !== undefined) {
    const { platform, identity } = differing
    throw new CliError(
      'unverified',
      `The snapshot does not hold what it should in ${printable(`${platform} ${identity}`)}.`,
    )
  }
  const known = new Set(before?.records.map(({ id }) => id))
  const news = check.records.filter(({ id, body }) => body.type === 'patch' && !known.has(id))
  return {
    check,
    concurrent: news.filter(({ body }) => body.counter >= counter).length,
    superseded: news.filter(({ body }) => body.counter < counter).map(({ id }) => id),
  }
}

/** Notes on the writes that came meanwhile. */
function meanwhileTexts({ concurrent, superseded }: Outcome): string[] {
  const texts: string[] = []
  if (concurrent > 0) {
    texts.push(
      `${countText(concurrent, 'write')} came meanwhile from another device. They apply on top of the snapshot.`,
    )
  }
  if (superseded.length > 0) {
    texts.push(
      `${countText(superseded.length, 'write')} came meanwhile, and the snapshot superseded them. Write these changes again:` +
        superseded.map((id) => `\n  ${id}`).join(''),
    )
  }
  return texts
}
