import { describe, expect, test } from 'vitest'

import { createMemoryIndex, Negentropy, NegentropyError } from '../../src/negentropy/negentropy.ts'
import { propertyRuns } from '../support/runs.ts'
import { numbersFrom, randomFrom, randomItems } from './sets.ts'

const MESSAGES = propertyRuns(100_000)
const FRAME_BYTES = 4096
const AT_ONCE = 64
const MAX_ROUNDS = 1000
/** CPU time of one message, in milliseconds. Messages are short, and so is the index; it is far above what is needed. */
const MAX_CPU_MS = 2000

const mine = randomItems(400, 20, (at) => 1_700_000_000 + (at >> 2))
const theirs = [...mine.slice(0, 350), ...randomItems(60, 21, (at) => 1_700_000_000 + at)]
const index = createMemoryIndex(mine)

/** Every message of some sessions, of both directions. */
async function realMessages(): Promise<Uint8Array[]> {
  const messages: Uint8Array[] = []
  for (let seed = 0; seed < 8; seed += 1) {
    const options = { frameSizeLimit: FRAME_BYTES, random: randomFrom(seed) }
    const initiator = new Negentropy(createMemoryIndex(theirs.slice(seed * 40)), options)
    const responder = new Negentropy(index, options)
    for (let message: Uint8Array | null = await initiator.initiate(); message !== null;) {
      const answer = (await responder.reconcile(message)).message as Uint8Array
      messages.push(message, answer)
      message = (await initiator.reconcile(answer)).message
    }
  }
  return messages
}

/** One of: random bytes, or a real message with bytes changed, taken out, put in, doubled, or cut off. */
function fuzzed(real: readonly Uint8Array[], next: () => number): Uint8Array {
  const kind = next() % 8
  if (kind === 0) {
    const bytes = Uint8Array.from({ length: next() % 200 }, () => (next() % 3 === 0 ? next() % 4 : next()))
    if (bytes.length > 0 && next() % 8 > 0) bytes[0] = 0x61
    return bytes
  }
  let bytes = Uint8Array.from(real[next() % real.length] as Uint8Array)
  for (let changes = 1 + (next() % 4); changes > 0 && bytes.length > 0; changes -= 1) {
    const at = next() % (kind < 4 ? Math.min(bytes.length, 64) : bytes.length)
    const end = at + 1 + (next() % 40)
    if (kind === 1) bytes[at] = next() & 0xff
    else if (kind === 2) bytes[at] = (bytes[at] as number) ^ (1 << (next() % 8))
    else if (kind === 3) bytes[at] = [0, 1, 2, 0x20, 0x7f, 0x80, 0x90, 0xff][next() % 8] as number
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
    else if (kind === 5) bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
    else if (kind === 6)
      bytes = Buffer.concat([bytes.subarray(0, at), Uint8Array.of(next(), next()), bytes.subarray(at)])
    else bytes = bytes.subarray(0, at + 1)
  }
  return bytes
}

describe('fuzzed messages', () => {
  test.each(['responder', 'initiator'] as const)('do no harm to one side: the %s', async (role) => {
    const real = await realMessages()
    const next = numbersFrom(role === 'responder' ? 30 : 31)
    const options = { frameSizeLimit: FRAME_BYTES, maxHavePerMessage: AT_ONCE, maxRounds: MAX_ROUNDS }
    const codes = new Map<string, number>()
    const count = (code: string) => codes.set(code, (codes.get(code) ?? 0) + 1)

    const fresh = async () => {
      const negentropy = new Negentropy(index, options)
      if (role === 'initiator') await negentropy.initiate()
      return negentropy
    }
    let side = await fresh()
    let slowest = 0
    for (let round = 0; round < MESSAGES / 2; round += 1) {
      const message = fuzzed(real, next)
      const began = process.cpuUsage()
      try {
        const result = await side.reconcile(message)
        count('taken')
        if ((result.message?.length ?? 0) > FRAME_BYTES) throw new Error('the answer is too long')
        if (result.have.length > (role === 'initiator' ? AT_ONCE : 0)) throw new Error('too many ids of its own')
        if (result.need.length > (role === 'initiator' ? message.length / 32 : 0))
          throw new Error('too many ids to need')
        if (result.message === null) side = await fresh()
      } catch (error) {
        if (!(error instanceof NegentropyError)) throw error
        count(error.code)
        if (['no_progress', 'too_many_rounds', 'too_many_ids'].includes(error.code)) side = await fresh()
      }
      const { user, system } = process.cpuUsage(began)
      slowest = Math.max(slowest, (user + system) / 1_000)
    }
    expect(slowest).toBeLessThan(MAX_CPU_MS)
    // The messages were worth sending: many were taken, and every kind of refusal was met.
    expect(codes.get('taken')).toBeGreaterThan(MESSAGES / 20)
    expect([...codes.keys()]).toEqual(
      expect.arrayContaining([
        'truncated',
        'bad_varint',
        'bad_bound',
        'bad_mode',
        'bad_id_list',
        'unsupported_version',
      ]),
    )
  })
})
