import { execFile, execFileSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createConfig, lintFromString } from '@redocly/openapi-core'
import type { FastifyInstance } from 'fastify'
import openapiTS, { astToString } from 'openapi-typescript'
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { JsonObject, JsonValue } from '../../src/record/types.ts'
import { isObject } from '../../src/http/docs/examples.ts'
import { operationsOf } from '../../src/http/docs/finish.ts'
import { OPERATOR_TOKEN, startHttpNode, type HttpNode } from './node.ts'
import { newKey, posted, postRecords, signedPatch } from './writer.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Below the project, so that the client finds its package. */
const CLIENT = `${ROOT}.cache/openapi-client`
/** Pages for people, and the description itself. */
const NOT_DESCRIBED = ['/', '/docs', '/docs/', '/openapi.json', '*']

const key = newKey()
const routes: string[] = []
let node: HttpNode
let description: JsonObject

beforeAll(async () => {
  const onApp = (message: unknown): void => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) routes.push(`${each} ${url}`)
    })
  }
  subscribe('fastify.initialization', onApp)
  node = await startHttpNode()
  unsubscribe('fastify.initialization', onApp)
  const record = signedPatch(key, { platform: 'nextid', identity: key.avatar, patch: { c: 'Hello', a: { b: 1 } } })
  await postRecords(node, [record])
  description = (await node.json('/openapi.json')).body
})
afterAll(() => node.close())

describe('the OpenAPI description', () => {
  it('has no error, and no warning, for a public linter with its strict rules', async () => {
    const config = await createConfig({ extends: ['recommended-strict'] })
    const lint = async (source: string) =>
      (await lintFromString({ source, absoluteRef: '/openapi.json', config })).map(
        ({ ruleId, message, location: [at] }) => `${ruleId} ${at?.pointer}: ${message}`,
      )
    expect(await lint(JSON.stringify(description))).toEqual([])
    // The linter finds what it should: an example that its schema does not allow.
    const wrong = structuredClone(description) as { components: { schemas: Record<string, JsonObject> } }
    wrong.components.schemas['Receipt'] = { type: 'integer' }
    expect((await lint(JSON.stringify(wrong))).join()).toContain('no-invalid-media-type-examples')
  })

  it('has every route of the node, and no other', () => {
    const served = routes
      .map((route) => route.replaceAll(/:(\w+)/g, '{$1}'))
      .filter((route) => !/^(HEAD|OPTIONS) /.test(route) && !NOT_DESCRIBED.includes(route.split(' ')[1] ?? ''))
    const described = operationsOf(description).map(({ path, method }) => `${method.toUpperCase()} ${path}`)
    expect(served.length).toBeGreaterThan(30)
    expect(described.toSorted()).toEqual(served.toSorted())
  })

  it.each(['docs/protocol.md', 'README.md'])('has every call that %s names', (page) => {
    const described = operationsOf(description).map(({ path, method }) => `${method.toUpperCase()} ${path}`)
    const text = readFileSync(`${ROOT}${page}`, 'utf8')
    const named = [...text.matchAll(/`(GET|POST) (\/(?:v1|v2|healthz|metrics)[^\s`?]*)/g)]
      .map(([, method, path]) => `${method} ${path}`)
      // In prose: `GET /v2/avatars/…/records`.
      .filter((call) => !call.includes('…'))
    expect(named.length).toBeGreaterThan(15)
    expect([...new Set(named)].filter((call) => !described.includes(call))).toEqual([])
  })

  it('describes what the routes answer that go around the framework', async () => {
    // A second read of the same address comes from the cache, without the framework.
    const read = async () => (await node.json(`/v2/avatars/${key.avatar}`)).body as JsonObject
    expect(await read()).toEqual(await read())
    const metrics = await (await node.fetch('/metrics')).text()
    const counted = [...metrics.matchAll(/^avatar_kv_http_request_duration_seconds_count\{[^}]*route="([^"]+)"/gm)].map(
      ([, route = '']) => route.replaceAll(/:(\w+)/g, '{$1}'),
    )
    expect(counted.length).toBeGreaterThan(1)
    const paths = operationsOf(description).map(({ path }) => path)
    expect(counted.filter((route) => !paths.includes(route) && !NOT_DESCRIBED.includes(route))).toEqual([])
  })

  it('describes each member of each answer', async () => {
    const checked: string[] = []
    for (const { path, method, operation } of operationsOf(description)) {
      const schema = jsonOf(operation, '200')
      if (method !== 'get' || schema === undefined) continue
      const address = path
        .replace('{avatar}', key.avatar)
        .replace('{platform}', 'nextid')
        .replace('{identity}', key.avatar)
      const query = new URLSearchParams({ avatar: key.avatar, platform: 'nextid', identity: key.avatar, path: '/c' })
      const names = namesIn(operation)
      const asked = [...query].filter(([name]) => names.includes(name))
      const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` }
      const { status, body } = await node.json(`${address}?${new URLSearchParams(asked)}`, { headers })
      expect([address, status]).toEqual([address, 200])
      expect([address, [...Value.Errors(schema as TSchema, body)]]).toEqual([address, []])
      expect([address, undescribed(schema, body)]).toEqual([address, []])
      checked.push(path)
    }
    expect(checked.length).toBeGreaterThan(15)
  })

  it('says how every call fails, and nodes fail so', async () => {
    const failing = {
      '/v2/avatars/nonsense': 400,
      [`/v2/avatars/${newKey().avatar}`]: 404,
      '/v2/operator/hosting': 401,
      [`/v2/avatars/${key.avatar}/records?cursor=0123456789abcdef-1`]: 410,
    }
    for (const [address, expected] of Object.entries(failing)) {
      const { status, body } = await node.json(address)
      expect([address, status]).toEqual([address, expected])
      const [schema] = operationsOf(description).flatMap(({ operation }) => jsonOf(operation, String(status)) ?? [])
      expect(Value.Check(schema as TSchema, body)).toBe(true)
    }
    for (const { path, operation } of operationsOf(description)) {
      expect([path, jsonOf(operation, '429'), jsonOf(operation, '503')]).not.toContain(undefined)
    }
  })
})

describe('a client that a public generator makes of it', () => {
  it('compiles, reads a node, writes to it, and does not compile with a wrong name', async () => {
    mkdirSync(CLIENT, { recursive: true })
    writeFileSync(`${CLIENT}/api.ts`, astToString(await openapiTS(JSON.stringify(description))))
    writeFileSync(`${CLIENT}/main.ts`, MAIN)
    const tsc = `${ROOT}node_modules/typescript/bin/tsc`
    const settings = ['--strict', '--noUncheckedIndexedAccess', '--target', 'es2022', '--module', 'nodenext']
    const files = ['--types', 'node', '--skipLibCheck', '--outDir', `${CLIENT}/out`, `${CLIENT}/main.ts`]
    try {
      execFileSync(process.execPath, [tsc, '--ignoreConfig', ...settings, ...files], { cwd: ROOT, encoding: 'utf8' })
    } catch (error) {
      throw new Error(`The generated client does not compile: ${(error as { stdout: string }).stdout}`, {
        cause: error,
      })
    }
    const { payload, signature, id } = signedPatch(key, { patch: { d: 2 } })
    const record = posted({ payload, signature })
    const { stdout } = await promisify(execFile)(process.execPath, [
      `${CLIENT}/out/main.js`,
      node.url(''),
      key.avatar,
      JSON.stringify(record),
      newKey().avatar,
    ])
    expect(JSON.parse(stdout)).toEqual({
      content: { c: 'Hello', a: { b: 1 } },
      records: 1,
      written: { id, status: 'stored' },
      error: 'unknown_avatar',
    })
  })
})

const MAIN = `
import createClient from 'openapi-fetch'
import type { components, paths } from './api.js'

const [, , baseUrl = '', avatar = '', record = '', nobody = ''] = process.argv
const client = createClient<paths>({ baseUrl })
const path = { avatar }

const { data } = await client.GET('/v2/avatars/{avatar}', { params: { path } })
const document: components['schemas']['Avatar'] | undefined = data
const page = await client.GET('/v2/avatars/{avatar}/records', { params: { path, query: { limit: 10 } } })
const written = await client.POST('/v2/records', { body: { records: [JSON.parse(record)] } })
const missing = await client.GET('/v2/avatars/{avatar}', { params: { path: { avatar: nobody } } })
// @ts-expect-error: there is no such call
await client.GET('/v2/avatar/{avatar}', { params: { path } })
// @ts-expect-error: an answer has no such member
data?.avatars
console.log(JSON.stringify({
  content: document?.namespaces[0]?.content,
  records: page.data?.records.length,
  written: written.data?.results[0],
  error: missing.error?.code,
}))
`

/** Returns the schema of the JSON that a call answers with a status, its references resolved. */
function jsonOf({ responses }: JsonObject, status: string): JsonObject | undefined {
  const answer = isObject(responses) ? responses[status] : undefined
  const content = isObject(answer) ? answer['content'] : undefined
  const media = isObject(content) ? content['application/json'] : undefined
  return isObject(media) ? (resolve(media['schema'] ?? null) as JsonObject) : undefined
}

function resolve(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(resolve)
  if (!isObject(value)) return value
  const { $ref: reference } = value
  if (typeof reference !== 'string') {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, resolve(each)]))
  }
  const { schemas } = description['components'] as { schemas: JsonObject }
  return resolve(schemas[reference.replace('#/components/schemas/', '')] ?? null)
}

function namesIn({ parameters }: JsonObject): unknown[] {
  return Array.isArray(parameters)
    ? parameters.filter(isObject).flatMap((each) => (each['in'] === 'query' ? [each['name']] : []))
    : []
}

/** Returns the members of a value that its schema does not name, by their paths. */
function undescribed(schema: JsonObject, value: JsonValue, at = ''): string[] {
  const choice = Array.isArray(schema['anyOf'])
    ? schema['anyOf'].filter(isObject).find((each) => Value.Check(each as TSchema, value))
    : schema
  if (choice === undefined) return [`${at}: of no kind`]
  if (Array.isArray(value)) {
    const { items } = choice
    return isObject(items) ? value.flatMap((each) => undescribed(items, each, `${at}[]`)) : []
  }
  const { properties } = choice
  if (!isObject(value) || choice['additionalProperties'] === true || !isObject(properties)) return []
  return Object.entries(value).flatMap(([name, each]) => {
    const member = properties[name]
    return isObject(member) ? undescribed(member, each, `${at}/${name}`) : [`${at}/${name}`]
  })
}
