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

it('what is kept for want of a signer is signed anew before he writes, not put over what he writes', async () => {
  let replica = await harness.open({ avatars: [avatar] })
  await give(replica, new Writer(SEED).chain(2))
  const person = personWho(() => give(replica, [new Writer(SEED).snapshot([FAR])]))
  await replica.put({ signer: person, patch: { colour: 'old', size: 1 } })
  expect(replica.info(avatar)).toMatchObject({ stuck: 1 })
  replica = await harness.open()
  await Promise.all([
    replica.put({ signer, patch: { colour: 'new' } }),
    replica.change({ signer, change: (before) => ({ ...before, colour: `very ${String(before['colour'])}` }) }),
  ])
  expect(replica.get(avatar)).toMatchObject({ colour: 'very new', size: 1 })
  replica = await harness.open({ signers: [signer] })
  expect(replica.get(avatar)).toMatchObject({ colour: 'very new', size: 1 })
  expect(replica.waiting().map(({ state, patch }) => [state, patch])).toEqual([
    ['waiting', { colour: 'old', size: 1 }],
    ['waiting', { colour: 'new' }],
    ['waiting', { colour: 'very new' }],
  ])
})

describe('while a person looks at what is to be signed anew', () => {
  const NEVER = new Promise<never>(() => {})

  async function inConflict(...patches: readonly Record<string, number>[]): Promise<Replica> {
    const replica = await harness.open({ avatars: [avatar] })
    await give(replica, new Writer(SEED).chain(2))
    let at = 3
    for (const patch of patches) {
      at += 10
      const base = new Writer(SEED).snapshot([{ ...FAR, counter: at }])
      await replica.put({ signer: personWho(() => give(replica, [base])), patch })
    }
    expect(replica.info(avatar)).toMatchObject({ stuck: patches.length, waiting: 0 })
    return replica
  }

  it('others write and records come, and the replica can be closed', async () => {
    const replica = await inConflict({ a: 1 })
    const retry = replica.retry(personWho(() => NEVER)).catch((error: unknown) => error)
    await replica.put({ signer, patch: { b: 2 } })
    expect(replica.get(avatar)).toMatchObject({ b: 2 })
    expect(await give(replica, [new Writer(SEED).patch([FAR], { other: 1 })])).toMatchObject({ added: 1 })
    const put = replica.put({ signer: personWho(() => NEVER), patch: { c: 3 } }).catch((error: unknown) => error)
    await replica.close()
    expect(await retry).toMatchObject({ name: 'ReplicaError', code: 'closed' })
    expect(await put).toMatchObject({ name: 'ReplicaError', code: 'closed' })
  })

  it('who signs without asking and never answers keeps nobody from closing it, and nothing is lost', async () => {
    let replica = await inConflict({ a: 1 })
    const hung: Signer = { avatar, silent: true, sign: () => NEVER }
    const retry = replica.retry(hung).catch((error: unknown) => error)
    await replica.close()
    expect(await retry).toMatchObject({ name: 'ReplicaError', code: 'closed' })
    replica = await harness.open()
    expect(stuck(replica)).toEqual([['conflict', expect.stringMatching(/snapshot.*retry/)]])
  })

  it('a snapshot comes: he is asked again, and what counts is what he signed last', async () => {
    const replica = await inConflict({ a: 1 })
    let asked = 0
    const person = personWho(async () => {
      asked += 1
      if (asked === 1) await give(replica, [new Writer(SEED).snapshot([FAR])])
    })
    expect(await replica.retry(person)).toMatchObject([{ records: [{ counter: FAR.counter + 2 }] }])
    expect(asked).toBe(2)
    expect(replica.get(avatar)).toMatchObject({ a: 1 })
    expect(told('rebased')).toHaveLength(1)
  })

  it('snapshots keep coming: he is asked three times, and it stays as it was', async () => {
    const replica = await inConflict({ a: 1 })
    let asked = 0
    const person = personWho(async () => {
      asked += 1
      await give(replica, [new Writer(SEED).snapshot([{ ...FAR, counter: FAR.counter + asked * 10 }])])
    })
    await expect(replica.retry(person)).rejects.toMatchObject({ name: 'ClientError', code: 'superseded' })
    expect(asked).toBe(3)
    expect(replica.waiting()).toMatchObject([{ state: 'conflict', patch: { a: 1 } }])
  })

  it('one of two is given up: it is not written, and he is asked for the other', async () => {
    const replica = await inConflict({ a: 1 }, { b: 2 })
    const [first] = replica.waiting()
    let texts = 0
    const person = personWho(async () => {
      if (texts++ === 0) await replica.discard(avatar, first!.id)
    })
    expect(await replica.retry(person)).toHaveLength(1)
    expect(texts).toBe(3)
    expect(replica.waiting()).toMatchObject([{ state: 'waiting', patch: { b: 2 } }])
    expect(replica.get(avatar)).not.toHaveProperty('a')
  })

  it('and signs it twice at once: it is written once', async () => {
    const replica = await inConflict({ a: 1 })
    const calm = personWho(() => Promise.resolve())
    const both = await Promise.all([replica.retry(calm), replica.retry(calm)])
    expect(both.flat()).toHaveLength(1)
    expect(replica.waiting()).toMatchObject([{ state: 'waiting', patch: { a: 1 } }])
  })
})
