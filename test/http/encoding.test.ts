import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { newKey } from './writer.ts'

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

const draft = Buffer.from(JSON.stringify({ avatar: newKey().avatar, platform: 'twitter', identity: 'a', patch: {} }))
const zipped = gzipSync(draft)

function send(body: Buffer, encoding?: string) {
  const headers = encoding === undefined ? {} : { 'content-encoding': encoding }
  return node.json('/v1/kv/payload', { method: 'POST', body: new Uint8Array(body), headers })
}

describe('a body', () => {
  it.each([
    ['gzip', zipped, 'gzip'],
    ['gzip by its old name', zipped, 'X-GZIP'],
    ['no encoding', draft, 'identity'],
    ['a byte order mark', Buffer.concat([Buffer.from('\ufeff'), draft]), undefined],
  ])('with %s is read', async (_, body, encoding) => {
    expect(await send(body, encoding)).toMatchObject({ status: 200 })
  })

  it.each([
    ['is gzip and does not say so', zipped, undefined, 400, 'invalid_json', 'gzip'],
    ['says gzip and is none', draft, 'gzip', 400, 'invalid_json', 'not complete gzip data'],
    ['is cut', zipped.subarray(0, -9), 'gzip', 400, 'invalid_json', 'not complete gzip data'],
    ['is encoded otherwise', draft, 'br', 415, 'unsupported_encoding', 'gzip'],
    ['is UTF-16', Buffer.from('\ufeff{}', 'utf16le'), undefined, 400, 'invalid_json', 'UTF-16'],
    ['becomes too large', gzipSync(Buffer.alloc(64 * 1024 * 1024, ' ')), 'gzip', 413, 'body_too_large', 'less'],
  ] as const)('that %s is named', async (_, body, encoding, status, code, words) => {
    const answer = await send(body, encoding)
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(answer.body.message).toContain(words)
  })
})
