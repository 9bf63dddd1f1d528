import { describe, expect, test } from 'vitest'
import { nobleEngine } from '../../src/record/engine.ts'
import { avatarOf } from '../../src/record/keys.ts'
import { signStatement, statementText, type HostingStatement } from '../../src/hosting/statement.ts'
import { HostingError } from '../../src/hosting/errors.ts'
import type { Avatar } from '../../src/record/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { testKey } from '../oracle/signing.ts'
import { NO_PULLS, openOwnerRequests, openHostingForTest } from './open-hosting.ts'

const PEER = '12D3KooWThisNode'
const NOW_S = 1_790_000_000
const key = testKey(7)
const avatar = avatarOf(key.secretKey)

async function ownerRequestsOf(options: { refuse?: boolean } = {}) {
  const clock = { ms: NOW_S * 1_000 }
  const environment = { ...systemEnvironment(), clock: { now: () => clock.ms } }
  const pulled: string[] = []
  const puller = {
    ...NO_PULLS,
    check: () => {
      if (options.refuse) throw new HostingError('pull_address_refused', 'no')
    },
    pull: (each: Avatar, from: string) => Promise.resolve(void pulled.push(`${each} ${from}`)),
  }
  const hosting = await openHostingForTest({ mode: 'listed', policy: 'open', environment })
  const ownerRequests = openOwnerRequests(hosting, nobleEngine, PEER, { puller, environment })
  const ask = (members: Partial<HostingStatement> = {}) => {
    const statement: HostingStatement = {
      ...{ action: 'host', avatar, created_at: NOW_S, network: 'main', peer_id: PEER, type: 'hosting', version: '2' },
      ...members,
    }
    return ownerRequests.ask(statementText(statement), signStatement(statement, key.secretKey))
  }
  return { ownerRequests, ask, hosting, clock, pulled }
}

describe('a statement is heard', () => {
  test('by the node that it names, in its network', async () => {
    const { ask, hosting } = await ownerRequestsOf()
    await expect(ask({ peer_id: '12D3KooWOther' })).rejects.toMatchObject({ code: 'wrong_peer' })
    await expect(ask({ network: 'test' })).rejects.toMatchObject({ code: 'wrong_peer' })
    expect(hosting.hosts(avatar)).toBe(false)
    expect(await ask()).toEqual({ status: 'granted', action: 'host', avatar, already: false, pulling: false })
    expect(hosting.hosts(avatar)).toBe(true)
  })

  test.each([
    [-601, 'stale_statement'],
    [-600, 'granted'],
    [600, 'granted'],
    [601, 'stale_statement'],
  ])('within ten minutes of its time: %i s', async (seconds, outcome) => {
    const { ask } = await ownerRequestsOf()
    const answer = await ask({ created_at: NOW_S + seconds }).then(
      ({ status }) => status,
      (error: HostingError) => error.code,
    )
    expect(answer).toBe(outcome)
  })

  test('in the order of times: leaving, shown again later, undoes nothing', async () => {
    const { ask, hosting, clock } = await ownerRequestsOf()
    await ask()
    const leave = { action: 'leave' as const, created_at: NOW_S + 1 }
    await ask(leave)
    expect(hosting.hosts(avatar)).toBe(false)
    await ask({ created_at: NOW_S + 2 })
    await expect(ask(leave)).rejects.toMatchObject({ code: 'stale_statement' })
    expect(hosting.hosts(avatar)).toBe(true)
    clock.ms += 3_600_000
    await expect(ask(leave)).rejects.toMatchObject({ code: 'stale_statement' })
    expect(hosting.hosts(avatar)).toBe(true)
  })
})

describe('an address to pull from', () => {
  test('is looked at first, and asked once the avatar is on the list', async () => {
    const { ask, pulled } = await ownerRequestsOf()
    expect(await ask({ from: 'https://old.test' })).toMatchObject({ already: false, pulling: true })
    expect(pulled).toEqual([`${avatar} https://old.test`])
  })

  test('that must not be asked keeps the avatar from being taken in', async () => {
    const { ask, pulled, hosting } = await ownerRequestsOf({ refuse: true })
    await expect(ask({ from: 'https://old.test' })).rejects.toMatchObject({ code: 'pull_address_refused' })
    expect([pulled, hosting.hosts(avatar)]).toEqual([[], false])
  })

  test('is not asked for an avatar that is refused', async () => {
    const { ask, pulled, hosting } = await ownerRequestsOf()
    await hosting.block([avatar], { forget: false })
    await expect(ask({ from: 'https://old.test' })).rejects.toMatchObject({ code: 'blocked' })
    expect(pulled).toEqual([])
  })
})

describe('requests', () => {
  const from = (key: string, isShared = false) => ({ key, isShared })

  test('of one host are held to a rate', async () => {
    const { ownerRequests, clock } = await ownerRequestsOf()
    const admitted = (key: string) => ownerRequests.admits(from(key)) === 0
    expect(Array.from({ length: 40 }, () => admitted('192.0.2.1')).filter(Boolean)).toHaveLength(20)
    expect(admitted('192.0.2.2')).toBe(true)
    expect(ownerRequests.admits(from('192.0.2.1'))).toBe(1)
    clock.ms += 2_000
    expect([admitted('192.0.2.1'), admitted('192.0.2.1'), admitted('192.0.2.1')]).toEqual([true, true, false])
  })

  test('of all together are, too, and the last ones are for hosts that ask little', async () => {
    const { ownerRequests } = await ownerRequestsOf()
    const proxied = Array.from({ length: 150 }, () => ownerRequests.admits(from('127.0.0.1', true)) === 0)
    expect(proxied.filter(Boolean)).toHaveLength(75)
    const greedy = Array.from({ length: 20 }, () => ownerRequests.admits(from('192.0.2.1')) === 0)
    expect(greedy.filter(Boolean)).toHaveLength(10)
    expect(ownerRequests.admits(from('192.0.2.2'))).toBe(0)
    for (let host = 0; host < 14; host += 1) expect(ownerRequests.admits(from(`198.51.100.${host}`))).toBe(0)
    expect(ownerRequests.admits(from('192.0.2.3'))).toBeGreaterThan(0)
  })

  test('a clock that is set back gives nothing', async () => {
    const { ownerRequests, clock } = await ownerRequestsOf()
    for (let n = 0; n < 20; n += 1) ownerRequests.admits(from('192.0.2.1'))
    clock.ms -= 3_600_000
    expect(ownerRequests.admits(from('192.0.2.1'))).toBe(1)
  })
})
