/** Hands a signed snapshot to a node, and checks what has become of it there. */
import { checkNode, type NodeCheck } from '../../client/check-node.ts'
import { differingNamespace } from '../../client/json.ts'
import type { NodeApi } from '../../client/node-api.ts'
import type { PlannedSnapshot } from '../../client/snapshot-plan.ts'
import { submitAll } from '../../client/submit-records.ts'
import type { RecordText } from '../../client/types.ts'
import type { SignatureEngine } from '../../record/engine.ts'
import type { Avatar, RecordId, StateEntry } from '../../record/types.ts'
import { foldRecords } from '../../state/fold.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { refusalsText } from './refusals-text.ts'
import { countText, printable } from './text.ts'

/** What a snapshot has become. */
export interface Outcome {
  readonly check: NodeCheck
  /** Patches that others wrote meanwhile, and that stand on top of the snapshot. */
  readonly concurrent: number
  /** Patches that came meanwhile and that the snapshot superseded: their authors must sign them again. */
  readonly superseded: readonly RecordId[]
}

/**
 * Gives a node the snapshot first, then its parts: a node that is full takes parts only once it holds the snapshot that
 * names them. Then reads everything back, verifies it here, and compares.
 *
 * @param before ids of the records that the node held when the snapshot was planned
 * @throws CliError where the node did not take all, or does not show what was signed
 */
export async function submitSnapshot(
  { context, api, engine }: { context: CommandContext; api: NodeApi; engine: SignatureEngine },
  avatar: Avatar,
  planned: PlannedSnapshot,
  signed: readonly RecordText[],
  namespaces: readonly StateEntry[],
  before: ReadonlySet<RecordId>,
): Promise<Outcome> {
  const onSent = (sent: number): void => context.note(`${sent} of ${signed.length} records sent …`)
  const answers = await submitAll(api, signed, { waits: true, onSent })
  if (answers[0]?.status === 'superseded') {
    throw new CliError(
      'refused',
      'A greater snapshot of this avatar was made meanwhile, by another device. Look at it first.',
    )
  }
  const refusals = refusalsText(answers)
  if (refusals !== undefined) {
    throw new CliError(
      'refused',
      `The node at ${api.url} did not take the whole snapshot, so that it has no effect yet. ${refusals}\n` +
        'Run the same command again: it goes on with what is missing.',
    )
  }

  const check = await checkNode(api, engine, avatar)
  if (check === undefined || check.differences.length > 0) {
    throw new CliError(
      'unverified',
      `The node at ${api.url} took the snapshot, but what it shows is not what its records say: ` +
        `${printable(check?.differences[0] ?? 'it has nothing of the avatar')}`,
    )
  }
  return judge(api, avatar, planned, namespaces, before, check)
}

function judge(
  api: NodeApi,
  avatar: Avatar,
  planned: PlannedSnapshot,
  namespaces: readonly StateEntry[],
  before: ReadonlySet<RecordId>,
  check: NodeCheck,
): Outcome {
  const ours = new Set(planned.records.map(({ id }) => id))
  const { counter } = planned.plan.snapshot
  const { base } = check.fold
  if (base === null || (base.id !== planned.records[0]?.id && base.counter < counter)) {
    throw new CliError('unverified', `The node at ${api.url} took all of the snapshot, but does not build on it.`)
  }
  if (base.id !== planned.records[0]?.id) {
    throw new CliError(
      'refused',
      'Another snapshot of this avatar took the place of this one meanwhile. Look at it first.',
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
  const news = check.records.filter(({ id, body }) => body.type === 'patch' && !before.has(id))
  return {
    check,
    concurrent: news.filter(({ body }) => body.counter >= counter).length,
    superseded: news.filter(({ body }) => body.counter < counter).map(({ id }) => id),
  }
}

/** What the person should know of writes that came meanwhile; nothing where none came. */
export function meanwhileTexts({ concurrent, superseded }: Pick<Outcome, 'concurrent' | 'superseded'>): string[] {
  const texts: string[] = []
  if (concurrent > 0) {
    texts.push(
      `${countText(concurrent, 'write')} came meanwhile from another device, and count on top of the snapshot.`,
    )
  }
  if (superseded.length > 0) {
    texts.push(
      `${countText(superseded.length, 'write')} came meanwhile that the snapshot has superseded; sign again what they said:` +
        superseded.map((id) => `\n  ${id}`).join(''),
    )
  }
  return texts
}
