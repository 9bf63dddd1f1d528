import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { privateKeySigner, type Signer } from '../../src/client/signers.ts'
import type { Replica } from '../../src/replica/types.ts'
import { testKey } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { give, replicaHarness, type ReplicaHarness } from './harness.ts'

/* People who are asked to sign take their time, and things go on meanwhile. */

const SEED = 21
const signer = privateKeySigner(testKey(SEED).secretKey)
const { avatar } = signer
const FAR = { counter: 40, id: `0x${'ab'.repeat(32)}` } as const

let harness: ReplicaHarness
beforeEach(() => void (harness = replicaHarness()))
afterEach(() => harness.close())

/** A signer that would ask a person, who looks at it while `meanwhile` happens. */
function personWho(meanwhile: () => Promise<unknown>): Signer {
  return {
    avatar,
    async sign(text) {
      await meanwhile()
      return await signer.sign(text)
    },
  }
}

const told = (type: string) => harness.events.filter((event) => event.type === type)
const stuck = (replica: Replica) => replica.waiting().map(({ state, reason }) => [state, reason])

describe('while a person looks at a write', () => {
  it('the avatar is read for the first time: the write is a conflict, not sent and hidden by what is older', async () => {
    const replica = await harness.open({ avatars: [avatar] })
    const person = personWho(() => give(replica, new Writer(SEED).chain(2)))
    await replica.put({ signer: person, patch: { n: 'mine' } })
    expect(stuck(replica)).toEqual([['conflict', expect.stringMatching(/before the avatar had been read.*retry/)]])
    expect(told('conflict')).toHaveLength(1)
    await replica.retry(personWho(() => Promise.resolve()))
    expect(replica.get(avatar)).toMatchObject({ n: 'mine' })
    expect(replica.waiting()).toMatchObject([{ state: 'waiting', counter: 3 }])
  })

  it('and where somebody is known who signs without asking, it is signed anew on what came', async () => {
    const replica = await harness.open({ avatars: [avatar], signers: [signer] })
    const person = personWho(() => give(replica, new Writer(SEED).chain(2)))
    await replica.put({ signer: person, patch: { n: 'mine' } })
    expect(replica.get(avatar)).toMatchObject({ n: 'mine' })
    expect(replica.waiting()).toMatchObject([{ state: 'waiting', counter: 3 }])
    expect(told('rebased')).toHaveLength(1)
  })

  it('a snapshot takes the place of what it builds on: it is a conflict at once', async () => {
    const replica = await harness.open({ avatars: [avatar] })
    await give(replica, new Writer(SEED).chain(2))
    const person = personWho(() => give(replica, [new Writer(SEED).snapshot([FAR])]))
    await replica.put({ signer: person, patch: { mine: 1 } })
    expect(stuck(replica)).toEqual([['conflict', expect.stringMatching(/snapshot.*retry/)]])
    expect(replica.info(avatar)).toMatchObject({ waiting: 0, stuck: 1 })
  })

  it('nothing, or what is merged: it waits to be sent, also what builds on own writes from before the first read', async () => {
    const replica = await harness.open({ avatars: [avatar] })
    const calm = personWho(() => Promise.resolve())
    await replica.put({ signer: calm, patch: { a: 1 } })
    await replica.put({ signer: calm, patch: { b: 2 } })
    await give(replica, new Writer(SEED).chain(1))
    const person = personWho(() => give(replica, [new Writer(SEED).patch([], { other: 1 })]))
    await replica.put({ signer: person, patch: { c: 3 } })
    expect(replica.waiting().map(({ state }) => state)).toEqual(['waiting', 'waiting', 'waiting'])
    expect(replica.get(avatar)).toMatchObject({ a: 1, b: 2, c: 3 })
    expect(replica.state(avatar)).toMatchObject({ records: 5, pending: 0 })
  })
})
