import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { messageId } from '../../src/network/gossip-settings.ts'
import { encodeBatch } from '../../src/record/codec.ts'
import { parseSignature } from '../../src/record/signature.ts'

/** What docs/protocol.md says in so many words, held against the code and the published vectors. */

const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const page = file('docs/protocol.md')
const vectors = file('test/conformance/vectors/records.json')
const { records } = JSON.parse(vectors) as {
  records: Record<'p1' | 'p2', { payload: string; signature: string; id: string }>
}

describe('the page on the protocol', () => {
  it.each([
    ['src/record/errors.ts', 'RecordErrorCode'],
    ['src/http/lib/errors.ts', 'HttpErrorCode'],
    ['src/archive/errors.ts', 'ArchiveErrorCode'],
    ['src/hosting/errors.ts', 'HostingRefusalCode'],
  ])('explains every code of %s', (path, type) => {
    const source = file(path)
    const union = source.slice(source.indexOf(`export type ${type} =`), source.indexOf('export class'))
    const codes = [...union.matchAll(/^ {2}\| '(\w+)'$/gm)].map(([, code]) => code)
    expect(codes.length).toBeGreaterThan(10)
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([])
  })

  it('explains every code with which the door refuses', () => {
    const source = file('src/store/types.ts') + file('src/ingest/verdicts.ts')
    const codes = [...source.matchAll(/'((?:too_many|created_at|batch)_\w+|\w+_quota)'/g)].map(([, code]) => code)
    expect(new Set(codes)).toEqual(
      new Set([
        'avatar_quota',
        'batch_invalid',
        'created_at_ahead',
        'node_quota',
        'too_many_incomplete',
        'too_many_pending',
      ]),
    )
    expect(codes.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([])
  })

  it('shows the payloads of the vectors byte for byte', () => {
    const shown = [...page.matchAll(/```json\n(.*)\n```/g)].map(([, payload]) => payload)
    expect(shown).toEqual([records.p1.payload, records.p2.payload])
    expect(page).toContain(`The payload, ${Buffer.byteLength(records.p1.payload)} bytes`)
    expect(page).toContain(`id         ${records.p1.id}\nsignature  ${records.p1.signature}\n`)
    expect(page).toContain(`base64     ${Buffer.from(parseSignature(records.p1.signature)).toString('base64')}\n`)
  })

  it('shows ids, digests and keys of the vectors alone', () => {
    const examples = page.slice(page.indexOf('\n## Examples'), page.indexOf('\n## Between nodes'))
    const long = [...examples.matchAll(/[0-9a-f]{64,}/g)].map(([hex]) => hex)
    expect(long.length).toBeGreaterThan(10)
    expect(long.filter((hex) => !vectors.includes(hex))).toEqual([])
    const short = [...examples.matchAll(/0x([0-9a-f]{4})…([0-9a-f]{4})?/g)].map(([, start, end]) => [start, end])
    expect(short.length).toBeGreaterThan(5)
    for (const [start, end = ''] of short) expect(vectors).toMatch(new RegExp(`0x${start}[0-9a-f]{56,60}${end}"`))
  })

  it('shows how a record travels', () => {
    const payload = new TextEncoder().encode(records.p1.payload)
    const batch = encodeBatch([{ payload, signature: parseSignature(records.p1.signature) }])
    const hex = Buffer.from(batch).toString('hex')
    const [, ...lines] =
      /takes 440 bytes:\n\n```\n0a (\w+) .*\n +0a (\w+ \w+)….*\n +12 (\w+ +\w+)….*\n```/.exec(page) ?? []
    const [outer, first, second] = lines.map((line) => line.replaceAll(' ', ''))
    expect(batch).toHaveLength(440)
    expect(hex.startsWith(`0a${outer}0a${first}`)).toBe(true)
    expect(hex.slice(2 * (6 + payload.length)).startsWith(`12${second}`)).toBe(true)
    expect(page).toContain(`message id is \`${Buffer.from(messageId(batch)).toString('hex')}\``)
  })

  it('has no link to a section that is not there', () => {
    const anchors = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title?.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'),
    )
    const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor)
    expect(links.filter((link) => !anchors.includes(link))).toEqual([])
  })
})
