import { messageOf } from '../../platform/errors.ts'
import type { Host } from '../../receipt/hosts.ts'
import type { SignatureEngine } from '../../record/engine.ts'
import type { Avatar } from '../../record/types.ts'
import type { RecordToAdd } from '../../state/state-source.ts'
import { checkRecord } from './local-check.ts'
import type { NodeClient } from './node-client.ts'
import { readRecords } from './records-reader.ts'

/**
 * A node as a host of an avatar.
 *
 * @param loadEngine called where records must be checked: most of the time receipts tell it all
 */
export function hostAt(client: NodeClient, loadEngine: () => Promise<SignatureEngine>, avatar: Avatar): Host {
  return {
    url: client.url,
    receipt: () => client.receipt(avatar).catch(messageOf),
    async records(network) {
      const engine = await loadEngine()
      let records: RecordToAdd[] = []
      let invalid: string | undefined
      try {
        await readRecords(client, avatar, () => {
          records = []
          invalid = undefined
          return (record) => {
            try {
              const { id, body } = checkRecord(engine, network, avatar, record)
              records.push({ id, body })
            } catch (error) {
              invalid ??= `it hands out a record that is not valid, ${record.id}: ${messageOf(error)}`
            }
          }
        })
      } catch (error) {
        return messageOf(error)
      }
      return invalid ?? records
    },
  }
}
