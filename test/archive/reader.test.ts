import { nodePlatform } from '../../src/archive/node.ts'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'

import { Writer } from '../store/writer.ts'
import { archiveOf, chunksOf, collect, joined, linesOf, readAll } from './archives.ts'
import { readArchive } from '../../src/archive/reader.ts'

const records = new Writer(1).chain(3)
const whole = await archiveOf(records)
const [header, one, two, three, trailer] = linesOf(whole) as [string, string, string, string, string]
const LONG = 'x'.repeat(2 * 1024 * 1024)

/** What is wrong, and where; how many records are left; the trailer. */
type Case = readonly [what: string, bytes: Buffer, faults: readonly string[], left: number, trailer: string]

const CASES: readonly Case[] = [
  ['nothing', whole, [], 3, 'good'],
  ['an empty file', Buffer.alloc(0), ['1 not_an_archive fatal'], 0, 'missing'],
  ['a line feed', Buffer.from('\n'), ['1 blank_line', '2 not_an_archive fatal'], 0, 'missing'],
  ['some text', Buffer.from('hello\n'), ['1 bad_line', '2 not_an_archive fatal'], 0, 'missing'],
  ['zeros', Buffer.alloc(3_000_000), ['1 line_too_long', '1 not_an_archive fatal'], 0, 'missing'],
  ['another format', joined([header.replace('archive/2', 'archive/3'), one]), ['1 wrong_format fatal'], 0, 'missing'],
  ['no header', joined([one, two, three, trailer]), ['1 header_missing', '4 wrong_trailer'], 3, 'wrong'],
  [
    'a bad header',
    joined([header.replace('"main"', '"MAIN"'), one]),
    ['1 bad_header', '3 trailer_missing'],
    1,
    'missing',
  ],
  [
    'a header that is cut',
    joined([header.slice(0, 30), one]),
    ['1 bad_line', '2 header_missing', '3 trailer_missing'],
    1,
    'missing',
  ],
  ['two headers', joined([header, header, one]), ['2 second_header', '4 trailer_missing'], 1, 'missing'],
  ['a header in the midst', joined([one, header, two]), ['1 header_missing', '4 trailer_missing'], 2, 'missing'],
  ['no trailer', joined([header, one, two, three]), ['5 trailer_missing'], 3, 'missing'],
  ['a record too few', joined([header, one, three, trailer]), ['4 wrong_trailer'], 2, 'wrong'],
  ['a record twice', joined([header, one, one, two, three, trailer]), ['6 wrong_trailer'], 4, 'wrong'],
  ['another order', joined([header, one, three, two, trailer]), ['5 wrong_trailer'], 3, 'wrong'],
  ['a bad trailer', joined([header, one, '{"digest":"sha256:0","records":1}']), ['3 wrong_trailer'], 1, 'wrong'],
  ['a trailer in the midst', joined([header, one, trailer, two]), ['3 wrong_trailer', '4 after_trailer'], 2, 'wrong'],
  [
    'bytes after it',
    Buffer.concat([whole, Buffer.from('x\ny\n')]),
    ['6 after_trailer', '6 bad_line', '7 bad_line'],
    3,
    'good',
  ],
  [
    'a record with two payloads',
    joined([header, one.replace('{', '{"payload":"",')]),
    ['2 bad_line', '3 trailer_missing'],
    0,
    'missing',
  ],
  [
    'a trailer with two counts',
    joined([header, one, two, three, trailer.replace('{', '{"records":9,')]),
    ['5 bad_line', '6 trailer_missing'],
    3,
    'missing',
  ],
  ['two trailers', joined([...linesOf(whole), trailer]), ['6 after_trailer'], 3, 'good'],
  [
    'two archives in a row',
    Buffer.concat([whole, whole]),
    ['6 after_trailer', '6 second_header', '10 after_trailer'],
    6,
    'good',
  ],
  [
    'the same, compressed',
    Buffer.concat([gzipSync(whole), gzipSync(whole)]),
    ['6 after_trailer', '6 second_header', '10 after_trailer'],
    6,
    'good',
  ],
  ['a blank line', joined([header, one, '', two, three, trailer]), ['3 blank_line', '6 wrong_trailer'], 3, 'wrong'],
  ['white space', joined([header, one, '  \t ', two]), ['3 blank_line', '5 trailer_missing'], 2, 'missing'],
  [
    'CR LF',
    Buffer.from(whole.toString().replaceAll('\n', '\r\n')),
    [...[1, 2, 3, 4, 5].map((line) => `${line} carriage_return`), '5 wrong_trailer'],
    3,
    'wrong',
  ],
  [
    'a byte order mark',
    Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), whole]),
    ['1 byte_order_mark', '5 wrong_trailer'],
    3,
    'wrong',
  ],
  [
    'bytes that are no text',
    joined([header, one, 'X', two]).fill(0xff, header.length + one.length + 2, header.length + one.length + 3),
    ['3 not_utf8', '5 trailer_missing'],
    2,
    'missing',
  ],
  [
    'a line of 2 MiB',
    joined([header, one, LONG, two, three, trailer]),
    ['3 line_too_long', '6 wrong_trailer'],
    3,
    'wrong',
  ],
  [
    'one at the end',
    Buffer.concat([joined([header, one]), Buffer.from(LONG)]),
    ['3 line_too_long', '3 trailer_missing'],
    1,
    'missing',
  ],
  ['no line feed at the end', whole.subarray(0, -1), ['5 unterminated_line'], 3, 'good'],
  [
    'half a record at the end',
    whole.subarray(0, header.length + one.length + 60),
    ['3 unterminated_line', '3 bad_line', '3 trailer_missing'],
    1,
    'missing',
  ],
  [
    'other members',
    joined([header, one.replace('{', '{"a":1,'), two]),
    ['2 bad_line', '4 trailer_missing'],
    1,
    'missing',
  ],
  [
    'a payload that is no text',
    joined([header, '{"payload":{},"signature":"0x00"}', two]),
    ['2 bad_line', '4 trailer_missing'],
    1,
    'missing',
  ],
  [
    'a lone surrogate',
    joined([header, one.replace('alice', '\\ud800'), two]),
    ['2 bad_record', '4 trailer_missing'],
    1,
    'missing',
  ],
  [
    'a signature that is none',
    joined([header, one.replace(/0x[0-9a-f]+"\}$/, '0x12"}'), two]),
    ['2 bad_record', '4 trailer_missing'],
    1,
    'missing',
  ],
  [
    'a path',
    joined([header, '{"path":"../../etc/passwd","data":"x"}', two]),
    ['2 bad_line', '4 trailer_missing'],
    1,
    'missing',
  ],
  [
    'a tar file',
    Buffer.concat([Buffer.from('../../etc/passwd'.padEnd(512, '\0')), Buffer.alloc(1024)]),
    ['1 unterminated_line', '1 bad_line', '1 not_an_archive fatal'],
    0,
    'missing',
  ],
  ['a gzip file that is cut', gzipSync(whole).subarray(0, -4), ['6 bad_gzip fatal'], 3, 'good'],
  ['a gzip file of something else', gzipSync('hello\n'), ['1 bad_line', '2 not_an_archive fatal'], 0, 'missing'],
  ['the beginning of a gzip file', Buffer.from([0x1f, 0x8b]), ['1 bad_gzip fatal'], 0, 'missing'],
  ['one byte', Buffer.from([0x1f]), ['1 unterminated_line', '1 bad_line', '1 not_an_archive fatal'], 0, 'missing'],
  [
    'deep nesting',
    joined([header, '['.repeat(900_000), `{"a":${'['.repeat(900_000)}`, two]),
    ['2 bad_line', '3 bad_line', '5 trailer_missing'],
    1,
    'missing',
  ],
]

describe('what reading an archive says', () => {
  it.each(CASES)('%s', async (_what, bytes, faults, left, trailerState) => {
    for (const size of [bytes.length > 100_000 ? 65_536 : 1, 1 << 22]) {
      const found = await readAll(bytes, { size })
      expect(found.faults).toEqual(faults)
      expect(found.records).toHaveLength(left)
      expect(found.end).toMatchObject({ records: found.end.records, trailer: trailerState })
      // Each is one that was written, byte for byte.
      for (const { record } of found.records) {
        expect(records.some(({ payload }) => Buffer.from(payload).equals(record.payload))).toBe(true)
      }
    }
  })

  it('takes records in another form, as edited by hand', async () => {
    const { payload, signature } = JSON.parse(two) as { payload: string; signature: string }
    const base64 = Buffer.from(signature.slice(2), 'hex').toString('base64')
    const edited = [`{ "signature": "${base64}", "payload": ${JSON.stringify(payload)} }`, ` ${three}`]
    const { records: found, faults } = await readAll(joined([header, one, ...edited]))
    expect(faults).toEqual(['5 trailer_missing'])
    expect(found.map(({ record }) => Buffer.from(record.signature).toString('hex'))).toEqual(
      records.map((record) => Buffer.from(record.signature).toString('hex')),
    )
  })

  it('does not read an archive of another network', async () => {
    const { faults, records: found } = await readAll(whole, { network: 'test' })
    expect([faults, found]).toEqual([['1 wrong_network fatal'], []])
    const joint = Buffer.concat([whole, Buffer.from(whole.toString().replace('"main"', '"test"'))])
    expect((await readAll(joint, { network: 'main' })).faults).toContain('6 wrong_network')
  })

  it('passes over a line of 100 MB, and over no more than it was told to', async () => {
    const huge = async function* () {
      yield joined([header, one])
      for (let sent = 0; sent < 100; sent++) yield Buffer.alloc(1_000_000, 'x')
      yield Buffer.concat([Buffer.from('\n'), joined([two, three])])
    }
    const events = await collect(readArchive(nodePlatform, huge()))
    expect(events.filter(({ kind }) => kind === 'record')).toHaveLength(3)
    const bounded = await collect(readArchive(nodePlatform, huge(), { maxNoiseBytes: 8_000_000 }))
    expect(bounded.filter(({ kind }) => kind === 'record')).toHaveLength(1)
    expect(bounded.at(-2)).toMatchObject({ kind: 'fault', fault: { code: 'too_much_noise', line: 3, fatal: true } })
    expect(bounded.at(-1)).toMatchObject({ kind: 'end', bytes: 9_000_000 + header.length + one.length + 2 })
  })

  it('stops early at what is no archive, however much of it there is', async () => {
    let sent = 0
    const endless = (async function* () {
      for (;;) {
        sent += 1
        yield Buffer.from('no archive\n'.repeat(10))
      }
    })()
    const events = await collect(readArchive(nodePlatform, endless))
    expect(events.at(-2)).toMatchObject({ fault: { code: 'not_an_archive', line: 65, fatal: true } })
    expect(sent).toBe(7)
  })

  it('lets errors of its source through', async () => {
    const failing = (async function* () {
      yield joined([header, one])
      throw new Error('the line is cut')
    })()
    await expect(collect(readArchive(nodePlatform, failing))).rejects.toThrow('the line is cut')
    await expect(collect(readArchive(nodePlatform, chunksOf(gzipSync(whole))))).resolves.toHaveLength(5)
  })
})
