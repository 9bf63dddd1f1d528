import { messageOf } from '../platform/errors.ts'
import { readReceipt, type Host } from '../receipt/hosts.ts'
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import { throwIfAborted } from './deadline.ts'
import { LocalAvatar } from './local-avatar.ts'
import { readNode } from './read-node.ts'
import type { CallOptions } from './types.ts'
import type { ClientParts } from './verified-reader.ts'

/**
 * The nodes of a pool as hosts of an avatar.
 *
 * @returns what throws a ClientError `aborted` where one of the signals is
 */
export function hostsIn(
  { pool, engine, signal: own }: Pick<ClientParts, 'pool' | 'engine' | 'signal'>,
  avatar: Avatar,
  { signal }: CallOptions,
): Host[] {
  const signals = [own, signal]
  /** One verification a record, however many hosts hand it out: ids name payloads. */
  const known = new Map<RecordId, VerifiedRecord>()
  return pool.all.map((api) => ({
    url: api.url,
    async receipt() {
      try {
        return await api.receipt(avatar, (value) => readReceipt(avatar, value), signal)
      } catch (error) {
        throwIfAborted(signals)
        return messageOf(error)
      }
    },
    async records(network) {
      const local = new LocalAvatar(avatar, network)
      const options = { engine, signals, signal, known: (id: RecordId) => known.get(id) }
      const { added, outcome, problems } = await readNode(api, local, options)
      for (const record of added) known.set(record.id, record)
      if (outcome === 'read' && problems.length === 0) return [...local.records]
      return problems[0]?.message ?? 'it does not hand out its records'
    },
  }))
}
