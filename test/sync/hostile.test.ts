import { afterEach, describe, expect, test } from 'vitest'
import { decodeFrame } from '../../src/sync/frame-decoder.ts'
import { encodeFrame } from '../../src/sync/frame-encoder.ts'
import type { Frame } from '../../src/sync/frame-types.ts'
import { runInitiator } from '../../src/sync/initiator.ts'
import { runResponder } from '../../src/sync/responder.ts'
import type { SyncError } from '../../src/sync/errors.ts'
import type { FrameStream } from '../../src/sync/types.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { streamPair } from './stream-pair.ts'
import { openNode, type SyncNode } from './sync-node.ts'

const nodes: SyncNode[] = []
const EMPTY = new Uint8Array(0)
const STALL = { stallMs: 300, openMs: 300, sessionMs: 5_000 }

async function node(records: readonly TestRecord[] = [], limits: object = {}): Promise<SyncNode> {
  const made = await openNode({ limits })
  nodes.push(made)
  await made.put(records)
  return made
}

afterEach(async () => {
  for (const each of nodes.splice(0)) await each.close()
})

const mine = new Writer(1).chain(5)
const theirs = new Writer(2).chain(40)
const stranger = new Writer(3).patch([])

function hello(change: Partial<Extract<Frame, { kind: 'hello' }>> = {}): Frame {
  const opening = Uint8Array.from([0x61, 0, 0, 1, ...Array.from({ length: 16 }, () => 7)])
  const known = {
    version: 2,
    network: 'main',
    purpose: 'reconcile',
    list: null,
    count: 40,
    opening,
    mark: null,
  } as const
  return { kind: 'hello', ...known, ...change }
}

function welcome(ids: readonly Uint8Array[], count = ids.length): Frame {
  const list = [0x61, 0, 0, 2, ids.length, ...ids.flatMap((id) => [...id])]
  const nothing = { below: 0, list: null, common: EMPTY, differing: EMPTY }
  return { kind: 'welcome', count, answer: Uint8Array.from(list), ...nothing }
}

function records(...all: readonly TestRecord[]): Frame {
  return { kind: 'records', records: all }
}

function bytesOf({ id }: TestRecord): Uint8Array {
  return new Uint8Array(Buffer.from(id.slice(2), 'hex'))
}

function forged(record: TestRecord): TestRecord {
  return { ...record, signature: record.signature.map((byte, at) => (at === 5 ? byte ^ 1 : byte)) }
}

const fakeIds = Array.from({ length: 60 }, (_, at) => new Uint8Array(32).fill(at + 1))
const delivered: Frame = { kind: 'delivered', missing: EMPTY }

/** A peer that sends what it is told to, whatever comes; then it waits. */
async function say(stream: FrameStream, frames: readonly (Frame | Uint8Array)[]): Promise<void> {
  try {
    for (const frame of frames) await stream.send(frame instanceof Uint8Array ? frame : encodeFrame(frame))
    while ((await stream.receive()) !== null);
  } catch {
    // It was cut off.
  }
}

async function failure(session: Promise<unknown>): Promise<Pick<SyncError, 'code' | 'blame'>> {
  try {
    await session
  } catch (error) {
    const { code, blame } = error as SyncError
    return { code, blame }
  }
  throw new Error('the session ran to its end')
}

describe('a peer that was called', () => {
  test.each<[string, string, readonly (Frame | Uint8Array)[]]>([
    ['sends bytes that are no frame', 'malformed_frame', [Uint8Array.of(0xff, 0xff, 0xff)]],
    ['sends an empty frame', 'malformed_frame', [EMPTY]],
    ['sends a frame of an unknown kind', 'malformed_frame', [Uint8Array.of(0x7a, 0)]],
    ['sends a frame that is too large', 'frame_too_large', [new Uint8Array(1_048_577)]],
    ['answers with something else', 'unexpected_frame', [delivered]],
    ['sends records first', 'unexpected_frame', [records(stranger)]],
    [
      'answers with broken Negentropy',
      'negentropy',
      [{ ...welcome([]), answer: Uint8Array.of(0x61, 0, 0, 9) } as Frame],
    ],
    ['answers with another version of it', 'negentropy', [{ ...welcome([]), answer: Uint8Array.of(0x60) } as Frame]],
    ['sends an id list with an id twice', 'negentropy', [welcome([fakeIds[0]!, fakeIds[0]!])]],
    ['sends what was not asked for', 'unasked_record', [welcome(fakeIds), records(stranger)]],
    ['sends one record twice', 'unasked_record', [welcome([bytesOf(stranger)]), records(stranger, stranger)]],
    [
      'sends a forged signature',
      'invalid_record',
      [welcome([bytesOf(stranger)]), records(forged(stranger)), delivered],
    ],
    [
      'sends records after they ended',
      'unasked_record',
      [welcome(theirs.slice(0, 2).map(bytesOf)), delivered, records(stranger)],
    ],
    [
      'is missing what was not asked for',
      'unexpected_frame',
      [welcome(fakeIds), { kind: 'delivered', missing: bytesOf(stranger) }],
    ],
    ['ends a request that was not made', 'unexpected_frame', [welcome([]), delivered]],
    [
      'answers another pass',
      'unexpected_frame',
      [welcome(fakeIds), { kind: 'reconciled', pass: 9, message: Uint8Array.of(0x61) }],
    ],
    ['never answers', 'stalled', []],
    ['never delivers', 'stalled', [welcome(fakeIds)]],
    ['never acknowledges', 'stalled', [welcome([])]],
    ['greets twice', 'unexpected_frame', [welcome(fakeIds), welcome(fakeIds)]],
    [
      'refuses a record that was not sent',
      'unexpected_frame',
      [welcome([]), { kind: 'taken', refused: [{ id: fakeIds[0]!, retrySeconds: 0 }] }],
    ],
  ])('%s', async (_, code, frames) => {
    const victim = await node(mine, STALL)
    const line = streamPair()
    const [ended] = await Promise.all([
      failure(runInitiator(victim.parts('b'), line.streams[0])),
      say(line.streams[1], frames),
    ])
    expect(ended).toEqual({ code, blame: true })
    expect(await victim.ids()).toEqual(mine.map(({ id }) => id).sort())
  })

  test.each<[string, string, readonly Frame[]]>([
    ['forges in a bulk stream', 'invalid_record', [welcome([], 40), records(...theirs.slice(0, 9), forged(stranger))]],
    [
      'streams what is no record',
      'invalid_record',
      [welcome([], 40), { kind: 'records', records: [{ payload: Uint8Array.of(1), signature: EMPTY }] }],
    ],
    ['stops streaming', 'stalled', [welcome([], 40), records(...theirs)]],
    ['ends in the middle of the stream', 'broken', [welcome([], 40)]],
  ])('%s', async (_, code, frames) => {
    const victim = await node([], STALL)
    const line = streamPair()
    const peer = async (): Promise<void> => {
      if (code !== 'broken') return say(line.streams[1], frames)
      for (const frame of frames) await line.streams[1].send(encodeFrame(frame))
      await line.streams[1].close()
    }
    const [ended] = await Promise.all([failure(runInitiator(victim.parts('b'), line.streams[0])), peer()])
    expect(ended).toEqual({ code, blame: code !== 'broken' })
  })

  test('claims records that it does not deliver: left alone for a while, and found out in the end', async () => {
    const victim = await node(mine, STALL)
    const liar = async (stream: FrameStream, frames: readonly Frame[]): Promise<void> => {
      try {
        for (let at = 0; (await stream.receive()) !== null; at += 1) {
          const frame = frames[at]
          if (frame !== undefined) await stream.send(encodeFrame(frame))
        }
      } catch {
        // It was cut off.
      }
    }
    const session = async (): Promise<unknown> => {
      const line = streamPair()
      const known = [...mine.map(bytesOf), fakeIds[0]!]
      const [ended] = await Promise.all([
        runInitiator(victim.parts('b'), line.streams[0]).catch((error: unknown) => error),
        liar(line.streams[1], [welcome(known), { kind: 'delivered', missing: fakeIds[0]! }]),
      ])
      return ended
    }
    expect(await session()).toMatchObject({ outcome: 'different', differences: 1 })
    // Not asked for again now.
    expect(await session()).toMatchObject({ outcome: 'different', differences: 1 })
    victim.clock.nowMs += 61_000
    expect(await session()).toMatchObject({ outcome: 'different', differences: 1 })
    victim.clock.nowMs += 121_000
    expect(await session()).toMatchObject({ code: 'withheld', blame: true })
  })

  test('never ends the reconciliation: cut off for what it does not deliver', async () => {
    const victim = await node(mine, { ...STALL, sessionMs: 30_000 })
    const line = streamPair()
    let made = 0
    const endless = async (): Promise<void> => {
      const stream = line.streams[1]
      const answer = (frame: Frame): Promise<void> => stream.send(encodeFrame(frame))
      // Each answer claims 1,000 ids of one second more, and that there is a difference beyond.
      let second = 0
      const claims = (): Uint8Array => {
        const list = Array.from({ length: 1_000 }, () => {
          made += 1
          return [...new Uint8Array(new Uint32Array(8).fill(made).buffer)]
        })
        second += 1
        const beyond = [0, 0, 1, ...Array.from({ length: 16 }, () => second)]
        return Uint8Array.from([0x61, 1 + second, 0, 0, 2, 0, 2, 0x87, 0x68, ...list.flat(), ...beyond])
      }
      try {
        for (let bytes = await stream.receive(); bytes !== null; bytes = await stream.receive()) {
          const frame = decodeFrame(bytes)
          if (frame.kind === 'hello') await answer({ ...welcome([]), count: 9e6, answer: claims() } as Frame)
          if (frame.kind === 'reconcile') await answer({ kind: 'reconciled', pass: frame.pass, message: claims() })
          if (frame.kind === 'request') await answer(delivered)
        }
      } catch {
        // It was cut off.
      }
    }
    const parts = victim.parts('b')
    parts.memory.bulkDone = true
    const [ended] = await Promise.all([failure(runInitiator(parts, line.streams[0])), endless()])
    expect(ended).toEqual({ code: 'withheld', blame: false })
    expect(made).toBeLessThan(20_000)
    expect(parts.memory.withheld).toBe(1)
  })

  test('streams for ever what is held: the bulk stream is given up', async () => {
    const victim = await node([], { ...STALL, sessionMs: 60_000 })
    await victim.put(mine)
    const line = streamPair()
    const frame = encodeFrame(records(...Array.from({ length: 100 }, () => mine[0]!)))
    const parts = victim.parts('b')
    const [ended] = await Promise.all([
      failure(runInitiator(parts, line.streams[0])),
      say(line.streams[1], [
        encodeFrame({ ...welcome([]), count: 9_000 } as Frame),
        ...Array.from({ length: 400 }, () => frame),
      ]),
    ])
    expect(ended).toEqual({ code: 'useless_bulk', blame: false })
    expect(parts.memory.bulkDone).toBe(true)
  })
})

describe('a peer that calls', () => {
  const reconcile: Frame = { kind: 'reconcile', pass: 1, message: Uint8Array.of(0x61), subset: EMPTY }
  const ids = (...all: readonly Uint8Array[]): Uint8Array => Uint8Array.from(all.flatMap((id) => [...id]))

  test.each<[string, string, readonly (Frame | Uint8Array)[]]>([
    ['sends bytes that are no frame', 'malformed_frame', [Uint8Array.of(8)]],
    ['does not greet', 'unexpected_frame', [delivered]],
    ['says nothing', 'stalled', []],
    ['greets, and says nothing', 'stalled', [hello()]],
    ['greets twice', 'unexpected_frame', [hello(), hello()]],
    ['begins with broken Negentropy', 'negentropy', [hello({ opening: Uint8Array.of(0x61, 0, 0) })]],
    ['begins with none', 'negentropy', [hello({ opening: EMPTY })]],
    [
      'goes back to an earlier pass',
      'unexpected_frame',
      [hello(), { ...reconcile, pass: 3 }, { ...reconcile, pass: 2 }],
    ],
    ['begins passes without end', 'unexpected_frame', [hello(), { ...reconcile, pass: 100 }]],
    ['sends records before it could know', 'unexpected_frame', [hello({ purpose: 'fetch' }), records(stranger)]],
    ['sends forged records', 'invalid_record', [hello(), records(stranger, forged(theirs[0]!))]],
    ['sends no records', 'malformed_frame', [hello(), Uint8Array.of(0x42, 0)]],
    ['asks for nothing', 'malformed_frame', [hello(), { kind: 'request', ids: EMPTY }]],
    ['asks for half an id', 'malformed_frame', [hello(), { kind: 'request', ids: new Uint8Array(33) }]],
    [
      'asks for one record often',
      'malformed_frame',
      [hello(), { kind: 'request', ids: ids(bytesOf(mine[0]!), bytesOf(mine[0]!)) }],
    ],
    ['asks for 1,025 records', 'malformed_frame', [hello(), { kind: 'request', ids: new Uint8Array(1_025 * 32) }]],
    ['reconciles where it wanted to fetch', 'unexpected_frame', [hello({ purpose: 'fetch' }), reconcile]],
    [
      'lists avatars that do not ascend',
      'malformed_frame',
      [hello({ list: { avatars: new Uint8Array(66).fill(2), fingerprints: new Uint8Array(32) } })],
    ],
    [
      'lists avatars without fingerprints',
      'malformed_frame',
      [hello({ list: { avatars: new Uint8Array(33).fill(2), fingerprints: EMPTY } })],
    ],
    [
      'names a pass without a subset',
      'malformed_frame',
      [hello({ list: { avatars: new Uint8Array(33).fill(2), fingerprints: new Uint8Array(16) } }), reconcile],
    ],
  ])('%s', async (_, code, frames) => {
    const victim = await node(mine, STALL)
    const line = streamPair()
    const [ended] = await Promise.all([
      failure(runResponder(victim.parts('a'), line.streams[1])),
      say(line.streams[0], frames),
    ])
    expect(ended).toEqual({ code, blame: true })
  })

  test.each<[string, string, Frame]>([
    ['is of another network', 'wrong_network', hello({ network: 'test' })],
    ['speaks another version', 'unsupported_version', hello({ version: 3 })],
  ])('%s: refused', async (_, code, frame) => {
    const victim = await node(mine, STALL)
    const line = streamPair()
    const [served] = await Promise.all([
      runResponder(victim.parts('a'), line.streams[1]),
      say(line.streams[0], [frame]),
    ])
    expect(served.refused).toBe(code)
  })

  test('sends again and again what is held', async () => {
    const victim = await node(theirs, STALL)
    const line = streamPair()
    const [ended] = await Promise.all([
      failure(runResponder(victim.parts('a'), line.streams[1])),
      say(line.streams[0], [hello(), ...Array.from({ length: 60 }, () => records(...theirs))]),
    ])
    expect(ended).toEqual({ code: 'unasked_record', blame: true })
    // None of it was verified again.
    expect(victim.submitted.reduce((sum, count) => sum + count, 0)).toBe(0)
  })

  test('takes longer than a session may, and brings nothing', async () => {
    const victim = await node(theirs, { sessionMs: 2_000, stallMs: 60_000 })
    const line = streamPair()
    const slow = async (): Promise<void> => {
      try {
        await line.streams[0].send(encodeFrame(hello()))
        for (;;) {
          await line.streams[0].send(encodeFrame(reconcile))
          await line.streams[0].receive()
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      } catch {
        // It was cut off.
      }
    }
    const [ended] = await Promise.all([failure(runResponder(victim.parts('a'), line.streams[1])), slow()])
    expect(ended).toEqual({ code: 'out_of_time', blame: true })
  })
})
