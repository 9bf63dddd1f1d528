import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'

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
      'GET /v2/avatars/{avatar}/linked-from',
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
    const records = body.components.schemas.RecordsRequest
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
    // Programs are generated from these names: a name never changes and is never used again.
    expect(calls.map(({ operationId }) => operationId).toSorted()).toEqual([
      ...[
        'exportArchive',
        'findHosts',
        'getActivity',
        'getAvatar',
        'getContent',
        'getHealth',
        'getHosting',
        'getMetrics',
      ],
      ...[
        'getNamespace',
        'getNamespaceProvenance',
        'getNode',
        'getProvenance',
        'getReceipt',
        'getStatus',
        'importArchive',
      ],
      ...[
        'listAvatars',
        'listLinkedFrom',
        'listPeers',
        'listProfiles',
        'listRecords',
        'operatorBackup',
        'operatorChangeHosting',
      ],
      ...['operatorCreateInvites', 'operatorListHosting', 'operatorRevokeInvites', 'operatorTidyHosting'],
      ...[
        'requestHosting',
        'streamEvents',
        'v1FindByIdentity',
        'v1GetKv',
        'v1RequestPayload',
        'v1Write',
        'writeRecords',
      ],
    ])
    for (const { path, security } of calls) {
      expect([path, security]).toEqual([path, path.startsWith('/v2/operator/') ? [{ operator: [] }] : []])
    }
    expect(body.components.securitySchemes.operator).toMatchObject({ type: 'http', scheme: 'bearer' })
    const [server] = body.servers
    expect(new URL(server.url, 'https://kv.example/below/openapi.json').href).toBe('https://kv.example/below/')
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
      for (const address of ['docs', 'docs/']) {
        const page = await fetch(new URL(address, base))
        expect([page.status, page.url]).toEqual([200, `${base}docs`])
        const links = linksIn(await page.text()).map((link) => new URL(link, page.url).href)
        expect(links).toContain(`${base}openapi.json`)
        expect(links.filter((link) => !link.startsWith(base))).toEqual([])
      }
      const description = await fetch(new URL('openapi.json', base))
      const { servers } = (await description.json()) as { servers: { url: string }[] }
      const health = new URL('healthz', new URL(servers[0]?.url ?? '', description.url))
      expect([health.href, (await fetch(health)).status]).toEqual([`${base}healthz`, 200])
    } finally {
      proxy.close()
    }
  })

  it('is a page without a script, which loads nothing but its styles', async () => {
    const page = await node.fetch('/docs')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    const html = await page.text()
    expect(html).not.toMatch(/<script|<style|style=| on[a-z]+="/)
    const again = await node.fetch('/docs', { headers: { 'if-none-match': page.headers.get('etag') ?? '' } })
    expect(again.status).toBe(304)
  })

  it('shows each call, with a link to it, and a command that works', async () => {
    const [html, { body }] = await Promise.all([
      node.fetch('/docs').then((page) => page.text()),
      node.json('/openapi.json'),
    ])
    const links = linksIn(html)
    for (const methods of Object.values(body.paths as Record<string, Record<string, Call>>)) {
      for (const { operationId } of Object.values(methods)) {
        expect(html).toContain(`id="${operationId}"`)
        expect(links).toContain(`#${operationId}`)
      }
    }
    const [, command = ''] = /<pre[^>]*>(curl &quot;\$NODE\/v2\/status&quot;)<\/pre>/.exec(html) ?? []
    const shell = command.replaceAll('&quot;', '"')
    const { stdout } = await promisify(execFile)('sh', ['-c', shell], { env: { ...process.env, NODE: node.url('') } })
    expect(JSON.parse(stdout)).toMatchObject({ network: 'main' })
  })

  it('writes with the command of the page the record of the example of docs/protocol.md', async () => {
    const html = await (await node.fetch('/docs')).text()
    const command = [...html.matchAll(/<pre[^>]*>(curl [^<]*)<\/pre>/g)]
      .map(([, text = '']) => text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&'))
      .find((text) => text.startsWith('curl "$NODE/v2/records"'))
    const { stdout } = await promisify(execFile)('sh', ['-c', `${command} -s`], {
      env: { ...process.env, NODE: node.url('') },
    })
    const id = '0xe633d2453566df046b554a727fe4786f9cc3016d5832a182e82f707dc01f3a06'
    expect(JSON.parse(stdout)).toEqual({ results: [{ id, status: 'stored' }] })
  })
})

function linksIn(html: string): string[] {
  return [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '')
}
