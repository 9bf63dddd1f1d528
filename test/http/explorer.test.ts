import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { fastify, type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { installExplorer } from '../../src/http/server/explorer.ts'

const PAGE = '<!doctype html><title>x</title>'
const SCRIPT = 'export const a = 1\n'.repeat(100)

let folder: string
let app: FastifyInstance
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-explorer-'))
  await mkdir(join(folder, 'assets'))
  await writeFile(join(folder, 'index.html'), PAGE)
  await writeFile(join(folder, 'assets', 'index-Ab12.js'), SCRIPT)
  await writeFile(join(folder, 'assets', 'secret.key'), 'no kind of file that is served')
  app = fastify()
  installExplorer(app, folder)
})
afterAll(async () => {
  await app.close()
  await rm(folder, { recursive: true })
})

/** Directives of the policy by name. */
async function policyOf(url: string): Promise<Map<string, string>> {
  const { headers } = await app.inject(url)
  const directives = String(headers['content-security-policy']).split('; ')
  return new Map(directives.map((each) => [each.split(' ')[0] ?? '', each.split(' ').slice(1).join(' ')]))
}

describe('the explorer at /', () => {
  it('is served under a policy that lets it load from, and ask, this node alone', async () => {
    const { statusCode, headers, body } = await app.inject('/')
    expect({ statusCode, body }).toEqual({ statusCode: 200, body: PAGE })
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
    })
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; " +
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types avatar-kv",
    )
  })

  it('lets its worker run WASM, and load and send nothing', async () => {
    const { headers } = await app.inject('/assets/index-Ab12.js')
    expect(headers['content-security-policy']).toBe("default-src 'none'; script-src 'wasm-unsafe-eval'")
  })

  it('may ask the hosts that its address names, up to eight', async () => {
    const two = '/?host=https%3A%2F%2FA.example&host=http%3A%2F%2F%5B%3A%3A1%5D%3A4381%2F&host=https://a.example'
    expect((await policyOf(two)).get('connect-src')).toBe("'self' https://a.example http://[::1]:4381")
    const paths = '/?host=https://A.example/Some/kv/&host=https://a.example/Some/kv&host=https://b.example/x/../y'
    expect((await policyOf(paths)).get('connect-src')).toBe("'self' https://a.example/Some/kv/ https://b.example/y/")
    const many = Array.from({ length: 20 }, (_, n) => `host=https://h${n}.example`).join('&')
    expect((await policyOf(`/?${many}`)).get('connect-src')?.split(' ')).toHaveLength(9)
  })

  it.each([
    'https://a.example; script-src *',
    'https://a.example *',
    "https://a.example 'unsafe-inline'",
    'https://*.example',
    'https:',
    '*',
    'data:',
    'javascript:alert(1)',
    'https://a.example\r\nset-cookie: a=b',
    `https://${'a'.repeat(400)}.example`,
    'https://user@a.example',
    'https://a.example/path;script-src *',
    'https://a.example/a,b',
    'https://a.example/?q',
  ])('takes %j for no host', async (host) => {
    const { headers } = await app.inject(`/?host=${encodeURIComponent(host)}`)
    expect((await policyOf(`/?host=${encodeURIComponent(host)}`)).get('connect-src')).toBe("'self'")
    expect(headers['set-cookie']).toBeUndefined()
  })

  it('compresses, is asked again by a tag, and keeps hashed names for ever', async () => {
    const plain = await app.inject('/assets/index-Ab12.js')
    expect(plain.body).toBe(SCRIPT)
    expect(plain.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
    })
    const small = await app.inject({ url: '/assets/index-Ab12.js', headers: { 'accept-encoding': 'br, gzip' } })
    expect(small.headers['content-encoding']).toBe('gzip')
    expect(gunzipSync(small.rawPayload).toString()).toBe(SCRIPT)
    const etag = String(plain.headers['etag'])
    expect(small.headers['etag']).toBe(etag)
    const again = await app.inject({ url: '/assets/index-Ab12.js', headers: { 'if-none-match': `"x", ${etag}` } })
    expect([again.statusCode, again.body]).toEqual([304, ''])
  })

  it('serves nothing but what the build makes', async () => {
    for (const url of ['/assets/secret.key', '/assets/', '/assets/../../package.json', '/assets/%2e%2e/index.html']) {
      expect((await app.inject(url)).statusCode).toBe(404)
    }
  })

  it('says how to build it where it is not built', async () => {
    for (const missing of [undefined, join(folder, 'nowhere')]) {
      const other = fastify()
      installExplorer(other, missing)
      const { statusCode, body } = await other.inject('/')
      expect(statusCode).toBe(404)
      expect(JSON.parse(body)).toMatchObject({ code: 'not_found', message: expect.stringContaining('npm run build') })
      await other.close()
    }
  })
})
