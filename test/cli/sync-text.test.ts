import { describe, expect, it } from 'vitest'

import { parsePeers, type PeerSyncAnswer } from '../../src/client/node-info.ts'
import { receivedText, syncText } from '../../src/cli/lib/sync-text.ts'

const LAST = { finished_at: 1_790_000_000, outcome: 'equal', differences: 0, refused_here: 0, refused_there: 0 }
const AT = 'at 2026-09-21 14:13:20Z'

function text(sync: Partial<PeerSyncAnswer>): string {
  const none = { progress: null, error: null, failures: null, records_in: null, records_out: null }
  return syncText({ state: 'idle', last: LAST, ...none, ...sync })
}

describe('how sync with a peer stands, in words', () => {
  it.each([
    ['never compared', { last: null }, 'not yet compared'],
    ['equal', {}, `equal ${AT}`],
    ['equal after a change', { last: { ...LAST, differences: 1 } }, `equal ${AT}, 1 difference before`],
    [
      'different',
      { last: { ...LAST, outcome: 'different', differences: 40 } },
      `different ${AT}, 40 differences before`,
    ],
    [
      'equal but for what this node refuses',
      { last: { ...LAST, outcome: 'equal_except_refused', refused_here: 3 } },
      `equal except 3 that this node refuses ${AT}`,
    ],
    [
      'equal but for what both refuse',
      { last: { ...LAST, outcome: 'equal_except_refused', refused_here: 3, refused_there: 2 } },
      `equal except 3 that this node refuses and 2 that it refuses ${AT}`,
    ],
    [
      'under way',
      { last: null, state: 'bootstrapping', progress: { done: 1200, total: 100_000 } },
      'not yet compared; now copying all records (1200 of 100000 records)',
    ],
    [
      'under way to an unknown end',
      { state: 'serving', progress: { done: 1, total: null } },
      `equal ${AT}; now answering the peer (1 record)`,
    ],
    ['just begun', { state: 'opening', progress: { done: 0, total: null } }, `equal ${AT}; now connecting`],
    ['failing', { state: 'backing_off', error: 'stalled' }, `equal ${AT}; now failing (stalled), trying again`],
    ['of a newer node', { state: 'd\u001b[31mancing' }, `equal ${AT}; now d\\u001b[31mancing`],
  ] as const)('%s', (_, sync, expected) => {
    expect(text(sync)).toBe(expected)
    expect(text(sync)).not.toContain('%')
  })

  it('a peer that does not sync', () => {
    expect(syncText(null)).toBe('no sync')
  })
})

describe('the answer of a node', () => {
  const PEER = { peer_id: 'a', addresses: [], direction: 'inbound', gossip: true, connected_at: 1, agent: null }

  it('tells how many records a peer delivered, by gossip and by sync, as far as the node tells', () => {
    const sync = { state: 'idle', records_in: 7 }
    const texts = [PEER, { ...PEER, sync }, { ...PEER, gossip_records_in: 5, sync }].map((peer) =>
      receivedText(parsePeers({ peers: [peer] })[0]!),
    )
    expect(texts).toEqual(['unknown', '7 by sync', '5 by gossip, 7 by sync'])
  })

  it('may say nothing of sync', () => {
    expect(parsePeers({ peers: [PEER] })[0]?.sync).toBe(null)
    expect(parsePeers({ peers: [{ ...PEER, sync: null }] })[0]?.sync).toBe(null)
  })

  it('is kept whole, for programs', () => {
    const sync = {
      state: 'idle',
      role: null,
      progress: null,
      last: { ...LAST, role: 'initiator' },
      error: null,
      records_in: 7,
    }
    expect(parsePeers({ peers: [{ ...PEER, sync }] })[0]?.sync).toEqual({ ...sync, failures: null, records_out: null })
  })

  it.each([
    ['no object', 'equal', /sync is not an object/],
    ['no state', {}, /sync\.state is not a text/],
    ['a count that is none', { state: 'idle', progress: { done: -1 } }, /sync\.progress\.done is not a whole number/],
    ['no outcome', { state: 'idle', last: { finished_at: 1 } }, /sync\.last\.outcome is not a text/],
  ])('with %s is refused, and the member named', (_, sync, message) => {
    expect(() => parsePeers({ peers: [{ ...PEER, sync }] })).toThrow(message)
  })
})
