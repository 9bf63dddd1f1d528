import { expect } from 'vitest'
import type { Avatar, VerifiedRecord } from '../../src/record/types.ts'
import type { Replica } from '../../src/replica/types.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { comparableView, expectedView } from '../store/expectations.ts'
import { idsOf } from './harness.ts'

const TIPS_SHOWN = 16
const MISSING_SHOWN = 100

/** What a replica shows of an avatar, in the form in which a node's store shows it. */
export function viewOf(replica: Replica, avatar: Avatar) {
  const { head, tips, base, digest, pending, missing, records, namespaces } = replica.state(avatar)
  const { bytes } = replica.info(avatar)
  return {
    summary: {
      avatar,
      head,
      tips: tips.slice(-TIPS_SHOWN),
      tipsTotal: tips.length,
      base,
      digest,
      pending,
      missing: { total: missing.length, ids: missing.slice(0, MISSING_SHOWN) },
      records,
      bytes,
    },
    namespaces: namespaces.map(({ platform, identity, content }) => ({
      platform,
      identity,
      json: JSON.stringify(content),
    })),
  }
}

/**
 * That what a replica shows of one avatar is what the oracle says of the records that it holds, and that it holds every one
 * of those given that counts.
 */
export async function expectOracle(replica: Replica, avatar: Avatar, given: readonly VerifiedRecord[]): Promise<void> {
  const known = new Map(given.map((record) => [record.id as string, record]))
  if (known.size === 0) return expect(replica.avatars()).not.toContain(avatar)
  const ids = await idsOf(replica, avatar, given)
  const held = [...ids].map((id) => known.get(id)).filter((record) => record !== undefined)
  expect(held).toHaveLength(ids.size)
  const unique = [...known.values()]
  const all = naiveFold(avatar, unique)
  const live = [...all.statuses].filter(([, status]) => status !== 'superseded').map(([id]) => id as string)
  expect([...ids].sort()).toEqual(live.sort())
  const view = viewOf(replica, avatar)
  expect(comparableView(view)).toEqual(expectedView(avatar, all, unique))
  for (const { platform, identity, json } of view.namespaces) {
    expect(JSON.stringify(replica.get(avatar, platform, identity))).toBe(json)
  }
}
