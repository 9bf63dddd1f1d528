import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'

interface Call {
  readonly path: string
  readonly operationId: string
  readonly security?: unknown
}

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

describe('the description of the interface', () => {
  it('has every call of the protocol, from the schemas that check them', async () => {
    const { body } = await node.json('/openapi.json')
    expect(body.openapi).toBe('3.1.0')
    const calls = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(calls.toSorted()).toEqual([
      'GET /healthz',
      'GET /metrics',
      'GET /v1/kv',
      'GET /v1/kv/by_identity',
      'GET /v2/activity',
      'GET /v2/archives',
      'GET /v2/avatars',
      'GET /v2/avatars/{avatar}',
      'GET /v2/avatars/{avatar}/content',
      'GET /v2/avatars/{avatar}/hosts',
      'GET /v2/avatars/{avatar}/provenance',
      'GET /v2/avatars/{avatar}/receipt',
      'GET /v2/avatars/{avatar}/records',
      'GET /v2/avatars/{avatar}/{platform}/{identity}',
      'GET /v2/avatars/{avatar}/{platform}/{identity}/provenance',
      'GET /v2/events',
      'GET /v2/hosting/{avatar}',
      'GET /v2/node',
      'GET /v2/operator/backup',
      'GET /v2/operator/hosting',
      'GET /v2/peers',
      'GET /v2/profiles',
      'GET /v2/status',
      'POST /v1/kv',
      'POST /v1/kv/payload',
      'POST /v2/archives',
      'POST /v2/hosting',
      'POST /v2/operator/hosting',
      'POST /v2/operator/hosting/tidy',
      'POST /v2/operator/invites',
      'POST /v2/operator/invites/revoke',
      'POST /v2/records',
    ])
    const records = body.paths['/v2/records'].post.requestBody.content['application/json'].schema
    expect(records.properties.records.maxItems).toBe(1000)
    const limit = body.paths['/v2/avatars'].get.parameters.find(({ name }: { name: string }) => name === 'limit')
    expect(limit.schema).toMatchObject({ type: 'integer', minimum: 1, maximum: 1000 })
    expect(JSON.stringify(body)).not.toContain('~kind')
  })

  it('names every call, says where it is and which calls want the token', async () => {
    const { body } = await node.json('/openapi.json')
    const calls = Object.entries(body.paths as Record<string, Record<string, { operationId: string }>>).flatMap(
      ([path, methods]) => Object.values(methods).map((call) => ({ path, ...call }) as Call),
    )
    const names = calls.map(({ operationId }) => operationId)
    expect(new Set(names).size).toBe(calls.length)
    for (const name of names) expect(name).toMatch(/^[a-z][a-zA-Z0-9]+$/)
    expect(names).toContain('getAvatarsByAvatarRecords')
    for (const { path, security } of calls) {
      expect([path, security]).toEqual([path, path.startsWith('/v2/operator/') ? [{ operator: [] }] : undefined])
    }
    expect(body.components.securitySchemes.operator).toMatchObject({ type: 'http', scheme: 'bearer' })
    const [server] = body.servers
    expect(new URL(server.url, 'https://kv.example/below/openapi.json').href).toBe('https://kv.example/below/')
    const shown = await node.json('/docs/json')
    expect(new URL(shown.body.servers[0].url, 'https://kv.example/below/docs/json').href).toBe(
      'https://kv.example/below/',
    )
  })

  it('and its page work below a path of a reverse proxy', async () => {
    const proxy = createServer((request, response) => {
      if (!request.url?.startsWith('/below/')) return void response.writeHead(404).end()
      const path = request.url.slice('/below'.length)
      const upstream = httpRequest({ port: node.port, path, method: request.method, headers: request.headers })
      upstream.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.rawHeaders)
        answer.pipe(response)
      })
      request.pipe(upstream)
    })
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
    try {
      const base = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/below/`
      for (const address of ['docs', 'docs/', 'docs/static/index.html']) {
        const page = await fetch(new URL(address, base))
        const html = await page.text()
        const sources = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source ?? '')
        expect([address, page.status, sources.length > 3]).toEqual([address, 200, true])
        for (const source of sources) {
          const url = new URL(source, page.url)
          expect([url.href, (await fetch(url)).status]).toEqual([url.href, 200])
        }
      }
      const description = await fetch(new URL('docs/json', base))
      const { servers } = (await description.json()) as { servers: { url: string }[] }
      const health = new URL('healthz', new URL(servers[0]?.url ?? '', description.url))
      expect([health.href, (await fetch(health)).status]).toEqual([`${base}healthz`, 200])
    } finally {
      proxy.close()
    }
  })

  it('is a page that asks nobody but this node', async () => {
    const page = await node.fetch('/docs')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
    const html = await page.text()
    const sources = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source ?? '')
    expect(sources.length).toBeGreaterThan(3)
    for (const source of sources) {
      const url = new URL(source, page.url)
      expect(url.host).toBe(new URL(page.url).host)
      expect([source, (await fetch(url)).status]).toEqual([source, 200])
    }
    const initializer = await (await node.fetch('/docs/static/swagger-initializer.js')).text()
    expect(initializer).toContain('validatorUrl: null')
    expect(initializer).not.toMatch(/https?:\/\/(?!127\.0\.0\.1)[^\s"']+\.(?:json|js|css)/)
    expect((await node.json('/docs/json')).body.info.title).toBe('avatar-kv')
  })
})
