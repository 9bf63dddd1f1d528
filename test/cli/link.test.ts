import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import type { JsonObject } from '../../src/record/types.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { run } from './run.ts'

const KEY = 'com.example.app'

let cwd: string
let node: HttpNode
let owner: string
let app: string
let advice: string

const command = (...args: string[]) => run([...args, '--node', node.url('')], { cwd })
const json = async (...args: string[]): Promise<JsonObject> => {
  const { code, out, err } = await command(...args, '--json')
  if (code !== 0) throw new Error(err)
  return JSON.parse(out)
}
const put = (patch: JsonObject, key: string) => command('put', JSON.stringify(patch), '--key', key)
const shown = async (query = '?linked=true') => (await node.json(`/v2/avatars/${owner}/nextid/${owner}${query}`)).body

beforeAll(async () => void (node = await startHttpNode()))
afterAll(() => node.close())
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'avatar-kv-link-'))
  owner = (await run(['key', 'create'], { cwd })).out.trim()
  const made = await run(['key', 'create', '--app', KEY], { cwd })
  app = made.out.trim()
  advice = made.err
  return () => rm(cwd, { recursive: true })
})

describe('link and unlink', () => {
  it('lets an app write one key, moves the value to it, and takes it back', async () => {
    expect(advice).toContain(`avatar-kv link ${KEY} --app-key ./${KEY}.key`)
    await put({ [KEY]: { colour: 'red', list: [1, null] }, name: 'Ada' }, 'avatar.key')
    const linked = await command('link', KEY, '--app-key', `./${KEY}.key`, '--label', 'Example, on the phone')
    expect(linked).toMatchObject({ code: 0, out: `stored  ${KEY} is written by ${app}\n` })
    expect(linked.err).toContain('was moved to the app')
    expect(await shown('')).not.toHaveProperty(KEY)
    expect(await shown()).toMatchObject({ [KEY]: { colour: 'red', list: [1, null] } })

    await put({ [KEY]: { colour: null, size: 5 }, name: 'Eve' }, `./${KEY}.key`)
    expect(await shown()).toMatchObject({ [KEY]: { list: [1, null], size: 5 }, name: 'Ada' })
    expect((await command('links')).out).toMatch(
      new RegExp(`^key +written by.*\\n${KEY} +${app} +20..-..-.. ..:..:..Z  Example, on the phone\\n$`),
    )
    expect(await json('links', owner)).toMatchObject({ links: [{ key: KEY, avatar: app, since: expect.any(Number) }] })
    expect(await json('links', app, '--to')).toEqual({ avatar: app, links: [{ avatar: owner, key: KEY }] })

    const own = await put({ [KEY]: { mine: true } }, 'avatar.key')
    expect(own.err).toContain(`Your value of ${KEY} is hidden: ${app} writes this key.`)
    expect((await shown())[KEY]).toEqual({ list: [1, null], size: 5 })

    expect(await json('unlink', KEY, '--keep')).toMatchObject({ status: 'stored', owner, avatar: app, kept: true })
    await put({ [KEY]: 'stolen' }, `./${KEY}.key`)
    expect((await shown())[KEY]).toEqual({ list: [1, null], size: 5 })
    expect((await shown(''))[KEY]).toEqual({ list: [1, null], size: 5 })
    expect((await command('links')).out).toBe(`${owner} links no key to another avatar.\n`)
    expect((await command('links', app, '--to')).out).toContain('No avatar')
  })

  it('without the key of the app leaves the own value, which unlink shows again', async () => {
    await put({ [KEY]: 'mine' }, 'avatar.key')
    const linked = await command('link', KEY, app)
    expect(linked).toMatchObject({ code: 0 })
    expect(linked.err).toContain('hidden while the link exists')
    expect(await shown()).not.toHaveProperty(KEY)
    expect((await command('unlink', KEY, '--keep')).err).toContain(`has nothing of ${app}`)
    expect(await json('unlink', KEY)).toMatchObject({ kept: false })
    expect((await shown())[KEY]).toBe('mine')
  })

  it('keeps nothing where nothing was shown', async () => {
    await put({ [KEY]: 'mine' }, 'avatar.key')
    await command('link', KEY, app)
    await put({ other: 1 }, `./${KEY}.key`)
    expect(await json('unlink', KEY, '--keep')).toMatchObject({ kept: true })
    expect(await shown()).not.toHaveProperty(KEY)
  })
})

describe('what cannot be linked', () => {
  it.each([
    ['a key of the protocol', ['link', 'org.avatar-kv.homes', '--app-key', `${KEY}.key`], 2, 'cannot be linked'],
    ['an empty key', ['link', '', '--app-key', `${KEY}.key`], 2, 'cannot be linked'],
    ['no avatar', ['link', KEY], 2, 'Which avatar'],
    ['the owner', ['link', KEY, '--app-key', 'avatar.key'], 2, 'linked to itself'],
    ['what is not linked', ['unlink', KEY], 1, 'is not linked'],
  ])('%s', async (_, args, code, message) => {
    const result = await command(...args)
    expect(result).toMatchObject({ code, out: '' })
    expect(result.err).toContain(message)
    expect((await node.json(`/v2/avatars/${owner}`)).status).toBe(404)
  })

  it('an avatar that is not that of the key, and a 65th key', async () => {
    const foreign = await command('link', KEY, owner, '--app-key', `${KEY}.key`)
    expect(foreign).toMatchObject({ code: 2 })
    const links = Object.fromEntries(Array.from({ length: 64 }, (__, at) => [`k${at}`, { avatar: app }]))
    await put({ 'org.avatar-kv.links': links }, 'avatar.key')
    const refused = await command('link', KEY, app)
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('64 keys are linked already')
    expect(await command('link', 'k3', app, '--label', 'again')).toMatchObject({ code: 0 })
  })

  it('a file name for an app that is none', async () => {
    expect(await run(['key', 'create', '--app', 'a/b'], { cwd })).toMatchObject({ code: 2 })
    expect(await run(['key', 'create', 'x.key', '--app', 'a/b'], { cwd })).toMatchObject({ code: 0 })
    expect(await run(['key', 'create', '--app', 'org.avatar-kv.x'], { cwd })).toMatchObject({ code: 2 })
  })
})

describe('an export', () => {
  it('takes linked avatars along and says so, except with --no-links', async () => {
    await put({ [KEY]: 1 }, 'avatar.key')
    await command('link', KEY, '--app-key', `${KEY}.key`)
    const taken = await command('export', owner, '--out', 'all.ndjson', '--json')
    expect(taken.err).toContain(`come along (--no-links leaves them out):\n  ${app}`)
    expect(JSON.parse(taken.out)).toMatchObject({ avatars: [owner, app].sort(), records: 3 })
    const alone = await command('export', owner, '--no-links', '--out', 'one.ndjson', '--json')
    expect(alone.err).toBe('')
    expect(JSON.parse(alone.out)).toMatchObject({ avatars: [owner], records: 2 })
    const verified = await run(['verify', 'all.ndjson', '--json'], { cwd })
    expect(verified.code).toBe(0)
  })
})

describe('a move to another host', () => {
  it('takes linked avatars along and says so, except with --no-links', async () => {
    await put({ [KEY]: 'value' }, 'avatar.key')
    await command('link', KEY, '--app-key', `${KEY}.key`)
    const there = await startHttpNode()
    try {
      const move = (...more: string[]) =>
        run(['migrate', owner, '--from', node.url(''), '--to', there.url(''), '--yes', '--json', ...more], { cwd })
      expect(JSON.parse((await move('--no-links')).out)).toMatchObject({ outcome: 'equal', linked: [] })
      const read = async () => (await there.json(`/v2/avatars/${owner}/nextid/${owner}?linked=true`)).body
      expect(await read()).not.toHaveProperty(KEY)
      const moved = await move()
      expect(moved).toMatchObject({ code: 0 })
      expect(JSON.parse(moved.out)).toMatchObject({ linked: [{ avatar: app, outcome: 'equal', problem: null }] })
      expect(await read()).toMatchObject({ [KEY]: 'value' })
    } finally {
      await there.close()
    }
  })

  it('goes on without a linked avatar that the old host does not have, and says so', async () => {
    await command('link', KEY, app)
    const there = await startHttpNode()
    try {
      const args = ['migrate', owner, '--from', node.url(''), '--to', there.url(''), '--yes', '--json']
      const moved = await run(args, { cwd })
      expect(moved).toMatchObject({ code: 0 })
      expect(moved.err).toContain(`the linked avatar ${app} was not moved`)
      expect(JSON.parse(moved.out)).toMatchObject({ outcome: 'equal', linked: [{ avatar: app, outcome: 'failed' }] })
    } finally {
      await there.close()
    }
  })
})
