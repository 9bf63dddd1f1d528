import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signStatement, type HostingStatement } from '../../src/hosting/statement.ts'
import { OPERATOR_TOKEN, startHttpNode, type HttpNode } from '../http/node.ts'
import { startProxy } from '../client/proxy.ts'
import { testKey } from '../oracle/signing.ts'
import { run } from './run.ts'

const key = testKey(40)

let node: HttpNode
let folder: string
beforeAll(async () => {
  node = await startHttpNode({ hosting: { mode: 'listed', policy: 'invite' } })
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-host-'))
  await writeFile(join(folder, 'operator-token'), `${OPERATOR_TOKEN}\n`, { mode: 0o600 })
})
afterAll(async () => {
  await node.close()
  await rm(folder, { recursive: true })
})

const cli = (...args: string[]) => run([...args, '--node', node.url('')], { cwd: folder })
const operate = (...args: string[]) => cli(...args, '--data-dir', folder)

test('an owner without a key file has the text signed by a wallet', async () => {
  const [code = ''] = (await operate('invite', 'create')).out.trim().split('\n')
  const text = (await cli('host', 'request', '--unsigned', key.avatar, '--invite', code)).out.trim()
  const statement = JSON.parse(text) as HostingStatement
  expect(statement).toMatchObject({ action: 'host', avatar: key.avatar, invite: code, peer_id: '12D3KooWThisNode' })
  const signature = Buffer.from(signStatement(statement, key.secretKey)).toString('base64')
  const granted = await cli('host', 'request', '--signed', text, '--signature', signature, '--json')
  expect([granted.code, JSON.parse(granted.out)]).toMatchObject([0, { action: 'host', avatar: key.avatar }])
  expect((await cli('host', 'status', key.avatar)).out).toBe(`kept, on the list  ${key.avatar}\n`)
})

test('a node that states the peer id of another one gets no statement that is good there', async () => {
  await operate('host', 'add', key.avatar)
  const isKept = async () => (await cli('host', 'status', key.avatar)).out
  const kept = await isKept()
  expect(kept).toMatch(/^kept/)
  await writeFile(join(folder, 'owner.key'), Buffer.from(key.secretKey).toString('hex'), { mode: 0o600 })
  // The owner means a node of her own choice; it answers with all that the other node says, and hands on all that it gets.
  const liar = await startProxy(() => node.url(''))
  const leave = (args: string[], stdin?: string) =>
    run(['host', 'request', '--leave', '--key', 'owner.key', '--node', liar.url, ...args], {
      cwd: folder,
      ...(stdin === undefined ? {} : { stdin }),
    })
  try {
    for (const args of [[], ['--json'], ['--unsigned', key.avatar]]) {
      const { code, out, err } = await leave(['--peer-id', '12D3KooWChosen', ...args], '')
      expect([code, out]).toEqual([1, ''])
      expect(err).toMatch(
        /wrong peer id: .* states 12D3KooWThisNode, and --peer-id is 12D3KooWChosen\. Nothing was signed/,
      )
    }
    // At a terminal at which nobody says yes.
    const asked = await leave([])
    expect([asked.code, asked.out]).toEqual([1, ''])
    expect(asked.err).toContain(`"leave ${key.avatar}" for the node with the peer id 12D3KooWThisNode`)
    expect(asked.err).toContain('[y/N]')
    expect(liar.seen.filter(({ method }) => method !== 'GET')).toEqual([])
    expect(await isKept()).toBe(kept)
    expect((await leave(['--peer-id', 'x', '--signed', '{}', '--signature', '00'])).code).toBe(2)

    // Where the id is right nobody is asked; nor with --json.
    expect(await leave(['--peer-id', '12D3KooWThisNode'])).toMatchObject({ code: 0 })
    await operate('host', 'add', key.avatar)
    const json = await leave(['--json'])
    expect(json.code).toBe(0)
    expect(json.err).not.toContain('[y/N]')
    expect(json.err).toContain('the peer id 12D3KooWThisNode')
  } finally {
    await liar.close()
  }
  await operate('host', 'add', key.avatar)
})

test('requests that follow each other at once all count, though the times of statements are whole seconds', async () => {
  await writeFile(join(folder, 'owner.key'), Buffer.from(key.secretKey).toString('hex'), { mode: 0o600 })
  for (let round = 0; round < 3; round++) {
    await operate('host', 'add', key.avatar)
    const left = await cli('host', 'request', '--key', 'owner.key', '--leave', '--json')
    expect(left).toMatchObject({ code: 0 })
  }
  await operate('host', 'add', key.avatar)
})

test('an operator blocks, lists, unblocks, removes and tidies', async () => {
  expect(await operate('host', 'block', key.avatar, '--forget')).toMatchObject({ code: 0, out: '1 avatar blocked\n' })
  const listed = await operate('host', 'list', '--blocked', '--json')
  expect(JSON.parse(listed.out)).toMatchObject({ list: 'blocked', avatars: [{ avatar: key.avatar }] })
  expect((await operate('host', 'unblock', key.avatar)).out).toBe('1 avatar not blocked any more\n')
  expect((await operate('host', 'remove', key.avatar, key.avatar)).out).toBe('1 avatar removed\n')
  expect((await operate('host', 'list', '--gone')).out).toContain(key.avatar)
  expect((await operate('host', 'list')).err).toContain('0 on the list, 0 blocked, 1 gone')
  expect((await operate('host', 'tidy')).out).toBe('0 avatars deleted\n')
  await operate('invite', 'create', '--count', '3')
  expect((await operate('invite', 'revoke')).out).toBe('3 codes revoked\n')
})

describe('refused, with what to do', () => {
  test.each<[string, string[], number, string]>([
    ['a wish to leave with a code', ['host', 'request', '--leave', '--invite', 'x'], 2, '--leave goes without'],
    ['a signed text without signature', ['host', 'request', '--signed', '{}'], 2, '--signature together'],
    ['no avatar', ['host', 'add'], 2, "missing required argument 'avatars'"],
    ['what is no avatar', ['host', 'add', '0x12'], 2, '66 digits'],
    ['two lists', ['host', 'list', '--blocked', '--gone'], 2, 'not both'],
    ['no codes', ['invite', 'create', '--count', '0'], 2, 'at least 1'],
    ['too many codes', ['invite', 'create', '--count', '1001'], 1, 'invalid_request'],
  ])('%s', async (_, args, code, words) => {
    const outcome = await (args[0] === 'host' && args[1] === 'request' ? cli(...args) : operate(...args))
    expect([outcome.code, outcome.err]).toEqual([code, expect.stringContaining(words)])
  })

  test("the operator's token on a line that others can read", async () => {
    const args = ['host', 'list', '--data-dir', folder, '--node', 'http://192.0.2.1:4381']
    const { code, err } = await run(args, { cwd: folder })
    expect([code, err]).toEqual([2, expect.stringContaining('not sent in the clear')])
  })

  test('a directory without a node', async () => {
    const { code, err } = await run(['host', 'list', '--data-dir', join(folder, 'none')], { cwd: folder })
    expect([code, err]).toEqual([1, expect.stringContaining('There are no data of a node')])
  })

  test('a token that is none', async () => {
    const broken = await mkdtemp(join(tmpdir(), 'avatar-kv-token-'))
    for (const [bytes, words] of [
      ['hello', "does not hold an operator's token"],
      [Buffer.from(`\ufeff${OPERATOR_TOKEN}`, 'utf16le'), 'it is UTF-16 text. Save it as UTF-8.'],
      [Buffer.from([0xff, 0x61]), 'it is not UTF-8 text. Save it as UTF-8.'],
    ] as const) {
      await writeFile(join(broken, 'operator-token'), bytes)
      const { code, err } = await run(['host', 'list', '--data-dir', broken], { cwd: folder })
      expect([code, err]).toEqual([1, expect.stringContaining(words)])
    }
    await writeFile(join(broken, 'operator-token'), `\ufeff${OPERATOR_TOKEN}\r\n`)
    expect((await run(['host', 'list', '--data-dir', broken, '--node', node.url('')], { cwd: folder })).code).toBe(0)
    await rm(broken, { recursive: true })
  })
})

test('an operator is told where the list or the codes have no effect yet', async () => {
  const all = await startHttpNode({ hosting: { mode: 'all', policy: 'closed' } })
  try {
    const on = (...args: string[]) => run([...args, '--node', all.url(''), '--data-dir', folder], { cwd: folder })
    expect((await on('host', 'add', key.avatar)).err).toContain('the node is in the mode "all"')
    expect((await on('host', 'block', key.avatar)).err).toBe('')
    expect((await on('invite', 'create')).err).toContain('--hosting-mode listed --hosting-policy invite')
    const json = await on('host', 'add', key.avatar, '--json')
    expect(JSON.parse(json.out)).toEqual({ action: 'add', avatars: [key.avatar], mode: 'all' })
  } finally {
    await all.close()
  }
  expect((await operate('host', 'add', key.avatar)).err).toBe('')
  await operate('host', 'remove', key.avatar)
})
