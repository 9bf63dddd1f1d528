import { describe, expect, test } from 'vitest'
import { buildPatch } from '../../src/record/build.ts'
import { nobleEngine } from '../../src/record/engine.ts'
import { avatarOf } from '../../src/record/keys.ts'
import { decodePayload, encodePayload } from '../../src/record/payload.ts'
import { signRecord } from '../../src/record/sign.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { signStatement, statementText, verifyStatement, type HostingStatement } from '../../src/hosting/statement.ts'
import { withV } from '../ingest/door.ts'
import { testKey } from '../oracle/signing.ts'

const key = testKey(7)
const STATEMENT: HostingStatement = {
  action: 'host',
  avatar: avatarOf(key.secretKey),
  created_at: 1_790_000_000,
  from: 'https://old.example.org/kv',
  invite: 'mzxw-6ytb-oi5d-ahxa-3q7k',
  network: 'main',
  peer_id: '12D3KooWPPvbJZxx2XPmZeQ921u6uJotgu9LD9kL6hTR66HhMuMy',
  type: 'hosting',
  version: '2',
}
const { from: _, invite: __, ...PLAIN } = STATEMENT

/** A statement with other members, signed all the same. */
function signed(members: Record<string, unknown>): { text: string; signature: Uint8Array } {
  const statement = { ...STATEMENT, ...members } as HostingStatement
  return { text: statementText(statement), signature: signStatement(statement, key.secretKey) }
}

describe('a statement', () => {
  test.each([
    ['with everything', STATEMENT],
    ['to host', PLAIN],
    ['to leave', { ...PLAIN, action: 'leave' as const }],
  ])('%s is what was signed', (_, statement) => {
    const signature = signStatement(statement, key.secretKey)
    expect(verifyStatement(nobleEngine, statementText(statement), signature)).toEqual(statement)
  })

  test('may be signed by a wallet, which adds v', () => {
    const { text, signature } = signed({})
    const long = withV({ payload: new TextEncoder().encode(text), signature }, key).signature
    expect(verifyStatement(nobleEngine, text, long)).toEqual(STATEMENT)
    const flipped = Uint8Array.from(long)
    flipped[64] = long[64] === 27 ? 28 : 27
    expect(() => verifyStatement(nobleEngine, text, flipped)).toThrow(
      expect.objectContaining({ code: 'invalid_statement' }),
    )
  })

  test.each<[string, Record<string, unknown>]>([
    ['another type', { type: 'patch' }],
    ['another version', { version: '3' }],
    ['no action', { action: 'stay' }],
    ['an avatar in another form', { avatar: STATEMENT.avatar.toUpperCase() }],
    ['a time that is text', { created_at: '1790000000' }],
    ['a time that is no integer', { created_at: 1.5 }],
    ['a time before 1970', { created_at: -1 }],
    ['a network that is none', { network: 'Main' }],
    ['a peer id that is none', { peer_id: 'a/b' }],
    ['an address of another scheme', { from: 'file:///etc/passwd' }],
    ['an address with a query', { from: 'https://a.test/?x=' }],
    ['an address with a fragment', { from: 'https://a.test/#x' }],
    ['a long address', { from: `https://${'a'.repeat(256)}` }],
    ['an address of two lines', { from: 'https://a.test/\nx' }],
    ['a code with other characters', { invite: 'a b' }],
    ['a long code', { invite: 'a'.repeat(65) }],
    ['a wish to leave with an address', { action: 'leave', invite: undefined }],
    ['a wish to leave with a code', { action: 'leave', from: undefined }],
    ['one member more', { extra: 1 }],
    ['a member __proto__', JSON.parse('{"__proto__":{}}') as Record<string, unknown>],
    ['one member less', { network: undefined }],
  ])('with %s is none', (_, members) => {
    const kept = Object.fromEntries(
      Object.entries({ ...STATEMENT, ...members }).filter(([, value]) => value !== undefined),
    )
    if (Object.hasOwn(members, '__proto__')) Object.defineProperty(kept, '__proto__', { value: {}, enumerable: true })
    const text = statementText(kept as unknown as HostingStatement)
    const signature = signStatement(kept as unknown as HostingStatement, key.secretKey)
    expect(() => verifyStatement(nobleEngine, text, signature)).toThrow(
      expect.objectContaining({ code: 'invalid_statement' }),
    )
  })

  test.each([
    ['white space', (text: string) => text.replace(',', ', ')],
    ['another order', (text: string) => `{"version":"2",${text.slice(1).replace(',"version":"2"', '')}`],
    ['a key twice', (text: string) => text.replace('{', '{"action":"leave",')],
    ['too many bytes', (text: string) => `${text}${' '.repeat(1_024)}`],
    ['no end', (text: string) => text.slice(0, -1)],
    ['brackets alone', () => '['.repeat(1_000)],
    ['nothing', () => ''],
    ['null', () => 'null'],
  ])('with %s is none', (_, change) => {
    const { text, signature } = signed({})
    const code = expect.objectContaining({ code: 'invalid_statement' })
    expect(() => verifyStatement(nobleEngine, change(text), signature)).toThrow(code)
  })

  test('changed by a byte, or signed by another key, is none', () => {
    const { text, signature } = signed({})
    const code = expect.objectContaining({ code: 'invalid_statement' })
    expect(() => verifyStatement(nobleEngine, text.replace('old.', 'odd.'), signature)).toThrow(code)
    const other = signStatement(STATEMENT, testKey(8).secretKey)
    expect(() => verifyStatement(nobleEngine, text, other)).toThrow(code)
    expect(() => verifyStatement(nobleEngine, text, signature.slice(1))).toThrow(
      expect.objectContaining({ name: 'RecordError', code: 'invalid_signature' }),
    )
  })

  test('is never a record, and a record is no statement', () => {
    const { text, signature } = signed({})
    const payload = new TextEncoder().encode(text)
    expect(() => decodePayload(payload, 'main')).toThrow(expect.objectContaining({ code: 'unknown_type' }))
    expect(() => verifyRecord(nobleEngine, 'main', { payload, signature }, { recoveryByte: true })).toThrow(
      expect.objectContaining({ code: 'unknown_type' }),
    )
    const { avatar, network, created_at: createdAt } = STATEMENT
    const uuid = '00000000-0000-4000-8000-000000000000'
    const patch = { ...STATEMENT }
    const own = { platform: 'nextid', identity: avatar, prev: [] }
    const record = buildPatch({ avatar, network, patch, createdAt, uuid, ...own })
    const text2 = new TextDecoder().decode(encodePayload(record))
    const code = expect.objectContaining({ code: 'invalid_statement' })
    expect(() => verifyStatement(nobleEngine, text2, signRecord(record, key.secretKey).signature)).toThrow(code)
  })
})
