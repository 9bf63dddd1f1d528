import { describe, expect, it } from 'vitest'

import { findContradictions } from '../../src/receipt/contradictions.ts'
import type { Receipt } from '../../src/receipt/receipt.ts'

const PLAIN: Receipt = {
  avatar: `0x02${'5f'.repeat(32)}`,
  network: 'main',
  head: 5,
  id: `0x${'55'.repeat(32)}`,
  records: 5,
  digest: 'a5'.repeat(32),
  time: 100,
  peer_id: '12D3KooWOne',
  signature: '0x',
}
const receipt = (change: Partial<Receipt> = {}): Receipt => ({ ...PLAIN, ...change })

const OTHER_DIGEST = 'b6'.repeat(32)
const GREATER_ID = `0x${'66'.repeat(32)}` as const
/** Another state, further on. */
const FURTHER = { digest: OTHER_DIGEST, head: 6, id: GREATER_ID, records: 6 }

describe('contradictions among receipts', () => {
  it.each<[string, readonly Receipt[]]>([
    ['none', []],
    ['one', [receipt()]],
    ['the same twice', [receipt(), receipt()]],
    ['the same state later', [receipt(), receipt({ time: 200 })]],
    ['another state later', [receipt(), receipt({ ...FURTHER, time: 200 })]],
    ['fewer records, since a snapshot', [receipt(), receipt({ ...FURTHER, records: 1, time: 200 })]],
    ['more records that wait', [receipt(), receipt({ records: 9, time: 200 })]],
    ['another state in one place', [receipt(), receipt({ digest: OTHER_DIGEST, time: 200 })]],
    ['a lesser place in the same second', [receipt(FURTHER), receipt()]],
    ['fewer records in the same second', [receipt({ records: 9 }), receipt()]],
    ['another state, and back, in the same second', [receipt(), receipt({ digest: OTHER_DIGEST }), receipt()]],
    [
      'another state in the second of the first or last',
      [
        receipt(),
        receipt({ digest: OTHER_DIGEST }),
        receipt({ time: 200 }),
        receipt({ digest: OTHER_DIGEST, time: 200 }),
      ],
    ],
    ['a lesser place of another peer', [receipt(FURTHER), receipt({ time: 200, peer_id: '12D3KooWTwo' })]],
    ['a lesser place of another avatar', [receipt(FURTHER), receipt({ time: 200, avatar: `0x03${'5f'.repeat(32)}` })]],
    ['a lesser place in another network', [receipt(FURTHER), receipt({ time: 200, network: 'test' })]],
    ['nothing visible, then something', [receipt({ head: 0, id: null, digest: OTHER_DIGEST }), receipt({ time: 200 })]],
  ])('are not: %s', (_, receipts) => {
    expect(findContradictions(receipts)).toEqual([])
    expect(findContradictions(receipts.toReversed())).toEqual([])
  })

  it.each<[string, string, Partial<Receipt>, Partial<Receipt>]>([
    ['a head that fell', 'place_fell', FURTHER, {}],
    ['the same head with a lesser record', 'place_fell', { id: GREATER_ID, digest: OTHER_DIGEST }, {}],
    ['a record that is denied altogether', 'place_fell', {}, { head: 0, id: null, digest: OTHER_DIGEST, records: 0 }],
    ['records that vanished', 'records_vanished', { records: 9 }, { records: 8 }],
    ['one digest of two heads', 'digest_of_two_places', {}, { head: 6 }],
    ['one digest of two records', 'digest_of_two_places', {}, { id: GREATER_ID }],
  ])('are: %s', (_, rule, earlier, later) => {
    const pair = [receipt(earlier), receipt({ ...later, time: 200 })]
    expect(findContradictions(pair)).toEqual([{ rule, receipts: pair, samePeer: true }])
    expect(findContradictions(pair.toReversed())).toEqual([{ rule, receipts: pair, samePeer: true }])
  })

  it('are: a state that was left and came back', () => {
    const three = [receipt(), receipt({ digest: OTHER_DIGEST, time: 200 }), receipt({ time: 300 })]
    const found = [{ rule: 'state_returned', receipts: three, samePeer: true }]
    expect(findContradictions(three)).toEqual(found)
    expect(findContradictions([three[2]!, three[0]!, three[1]!])).toEqual(found)
    // 100, 150, 250 and 300 hold the first state, 200 the other: both of the last two came back.
    const more = [receipt({ time: 150 }), receipt({ time: 250 })]
    expect(findContradictions([...three, ...more]).map(({ receipts }) => receipts.map(({ time }) => time))).toEqual([
      [100, 200, 250],
      [100, 200, 300],
    ])
  })

  it('are: one digest of two places, by two peers', () => {
    const pair = [receipt(), receipt({ head: 6, peer_id: '12D3KooWTwo' })]
    expect(findContradictions(pair)).toEqual([{ rule: 'digest_of_two_places', receipts: pair, samePeer: false }])
  })

  it('are shown by the greatest that was signed before, not by the last', () => {
    const greatest = receipt({ ...FURTHER, head: 9, digest: 'c7'.repeat(32) })
    const fallen = [receipt({ ...FURTHER, time: 200 }), receipt({ time: 300 })]
    expect(findContradictions([greatest, ...fallen]).map(({ receipts }) => receipts)).toEqual(
      fallen.map((each) => [greatest, each]),
    )
  })

  it('are found among many in one pass', () => {
    const many = Array.from({ length: 20_000 }, (_, index) =>
      receipt({ time: index, head: index + 1, records: index, digest: index.toString(16).padStart(64, '0') }),
    )
    expect(findContradictions(many)).toEqual([])
    const late = { ...many[10_000]!, time: 30_000 }
    const rules = findContradictions([...many, late]).map(({ rule }) => rule)
    expect(rules).toEqual(['place_fell', 'state_returned'])
  })
})
