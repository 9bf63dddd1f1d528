import { LocalAvatar } from '../../client/local-avatar.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { readAll } from '../../client/read-all.ts'
import { statusIn } from '../../client/read-history.ts'
import { compareCitations } from '../../record/order.ts'
import type { Avatar, VerifiedRecord } from '../../record/types.ts'
import type { RecordStatus } from '../../state/state-source.ts'
import { CliError } from './errors.ts'
import { loadEngine } from './lazy-parts.ts'
import { countText, printable } from './text.ts'

/** The records of an avatar at one node, all verified here. */
export interface AvatarLog {
  readonly local: LocalAvatar
  /** Superseded ones too, newest first. */
  readonly records: readonly VerifiedRecord[]
  readonly statusOf: (record: VerifiedRecord) => RecordStatus
  /** @throws CliError where the node sent records that are not valid, too */
  check(): void
}

/** @throws CliError `refused` where the node has nothing of the avatar; ClientError where it cannot be read */
export async function readLog(api: NodeApi, avatar: Avatar): Promise<AvatarLog> {
  const [engine, document] = await Promise.all([loadEngine(), api.document(avatar)])
  const network = document?.network ?? ''
  const read = document && (await readAll(api, avatar, { engine, network, signal: undefined }))
  if (read === undefined) throw new CliError('refused', `The node at ${api.url} has nothing of ${avatar}.`)
  const { faults } = read
  const placed = read.records.map((record) => ({ counter: record.body.counter, id: record.id, record }))
  const ascending = placed.sort(compareCitations).map(({ record }) => record)
  const local = new LocalAvatar(avatar, network)
  for (const record of ascending) local.add(record)
  return {
    local,
    records: ascending.toReversed(),
    statusOf: (record) => statusIn(local, record),
    check() {
      if (faults.length === 0) return
      const lines = faults.map((fault) => `\n${printable(fault)}`).join('')
      throw new CliError('unverified', `The node sent ${countText(faults.length, 'invalid record')}:${lines}`)
    },
  }
}
