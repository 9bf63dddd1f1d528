import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { expect, test } from 'vitest'
import { createWriteQueue } from '../../src/client/write-queue.ts'
import type { Disk } from '../../src/replica/disk.ts'
import { levelDisk } from '../../src/replica/level-disk.ts'
import { AvatarReplica } from '../../src/replica/avatar-replica.ts'
import type { AvatarComponents } from '../../src/replica/avatar-row.ts'
import type { Tabs } from '../../src/replica/tabs.ts'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'

const TABS = 3
const engine = await selectEngine()
const tabIndex = fc.nat(TABS - 1)
const what = fc.constantFrom(
  ...([
    'write',
    'write',
    'write',
    'discard',
    'discard',
    'reject',
    'sent',
    'import',
    'snapshot',
    'damage',
    'see',
    'reload',
  ] as const),
)
const steps = fc.array(fc.record({ what, tab: tabIndex }), { minLength: 3, maxLength: 30 })

const trusted = (record: TestRecord): VerifiedRecord => record as TestRecord & VerifiedRecord

/** Which record each position was used for, over all that was ever written. */
function watched(disk: Disk): { readonly disk: Disk; readonly twice: string[] } {
  const given = new Map<string, string>()
  const twice: string[] = []
  return {
    twice,
    disk: {
      ...disk,
      async batch(operations) {
        await disk.batch(operations)
        for (const each of operations) {
          if (each.type === 'del' || !/^[qr]\//.test(each.key)) continue
          const position = each.key.slice(-16)
          // What follows the note, or the check: id, signature and payload.
          const record = Buffer.from(each.value).toString('latin1').slice(-150)
          if ((given.get(position) ?? record) !== record) twice.push(each.key)
          given.set(position, record)
        }
      },
    },
  }
}

test(
  'no position is used twice, and every tab sees what all have written, whatever was taken away, in any order of tabs',
  { timeout: PROPERTY_TIMEOUT_MS },
  () =>
    fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const writer = new Writer(5)
        const { avatar } = writer
        const db = new MemoryLevel<string, string>()
        const { disk, twice } = watched(levelDisk(db))
        const locks = createWriteQueue()
        const tabs: Tabs = {
          alone: false,
          exclusive: locks,
          lead: (run) => run(),
          tell: () => {},
          listen: () => {},
          close: () => {},
        }
        const parts: AvatarComponents = { disk, tabs, engine, network: 'main', now: () => 0, emit: () => {} }
        const tabReplicas: AvatarReplica[] = []
        let isRecordLost = false
        for (let at = 0; at < TABS; at++) tabReplicas.push(await AvatarReplica.open(parts, avatar))
        for (const [n, { what, tab }] of steps.entries()) {
          const replica = tabReplicas[tab]!
          const newest = replica.entries.at(-1)
          if (what === 'write') {
            await replica.exclusive(() =>
              replica.commit([trusted(writer.patch([...replica.shown.tips], { [`w${n}`]: n }))], 0),
            )
          } else if (what === 'import') await replica.take([trusted(writer.patch([], { [`i${n}`]: n }))])
          else if (what === 'snapshot') await replica.take([trusted(writer.snapshot([...replica.confirmed.tips]))])
          else if (what === 'see') await replica.catchUp()
          else if (what === 'reload') tabReplicas[tab] = await AvatarReplica.open(parts, avatar)
          else if (what === 'damage') {
            const key = (await db.keys({ gt: 'q', lt: 's' }).all()).at(-1)
            // Where an own write was taken, and the row that says so is gone, who did not read it goes on waiting.
            isRecordLost ||= key?.startsWith('r/') === true
            if (key !== undefined) await db.put<string, Uint8Array>(key, new Uint8Array(3), { valueEncoding: 'view' })
            tabReplicas[tab] = await AvatarReplica.open(parts, avatar)
            await tabReplicas[tab].discardDamaged()
          } else if (newest !== undefined) {
            if (what === 'sent') await replica.sent([newest.record.id], 'node')
            else {
              await replica.exclusive(async () => {
                const there = replica.entries.filter(({ record }) => record.id === newest.record.id)
                if (what === 'discard') return await replica.replace(there, [])
                const note = { ...newest.note, state: 'rejected' as const }
                return await replica.replace(
                  [],
                  there.map(({ record, position }) => ({ record, position, note })),
                )
              })
            }
          }
          expect(twice).toEqual([])
        }
        const fresh = await AvatarReplica.open(parts, avatar)
        const idsOf = (replica: AvatarReplica): string[] => replica.entries.map(({ record }) => record.id)
        for (const replica of tabReplicas) {
          await replica.catchUp()
          if (!isRecordLost) expect(idsOf(replica)).toEqual(idsOf(fresh))
        }
        await db.close()
      }),
      { numRuns: propertyRuns(60) },
    ),
)
