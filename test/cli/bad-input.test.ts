import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { avatarOf } from '../../src/record/keys.ts'
import { archiveOf } from '../archive/archives.ts'
import { Writer } from '../store/writer.ts'
import { run } from './run.ts'

const MAIN = resolve('dist/main.js')
const KEY = '11'.repeat(32)
const AVATAR = avatarOf(Buffer.from(KEY, 'hex'))

let cwd: string
let server: Server
/** Serves what is no node: a web page, nothing, an answer of another shape, or an archive that never ends. */
let other: string
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-bad-'))
  mkdirSync(join(cwd, 'dir'))
  writeFileSync(join(cwd, 'avatar.key'), `${KEY}\n`, { mode: 0o600 })
  writeFileSync(join(cwd, 'text.txt'), 'hello\nworld\n')
  writeFileSync(join(cwd, 'empty'), '')
  writeFileSync(join(cwd, 'binary'), Buffer.from([0xc3, 0x28, 0, 1]))
  writeFileSync(join(cwd, 'README.md'), '# A page\n\nof *several* lines\n'.repeat(10))
  writeFileSync(join(cwd, 'good'), await archiveOf(new Writer(1).chain(2)))
  server = createServer((request, response) => {
    request.resume()
    const path = request.url ?? ''
    if (path.includes('/slow/v2/status')) {
      const status = { version: '0', network: 'main', peer_id: 'x', addresses: [], peers: 0, avatars: 0, records: 0 }
      response.end(JSON.stringify(status))
    } else if (path.includes('/slow/')) response.write('{"created_at":1,')
    else
      response.end(path.includes('/empty/') ? '' : path.includes('/json/') ? '{"a":1}' : '<html><body>hi</body></html>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  other = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(cwd, { recursive: true })
})

/** What was asked, the exit code, and parts of the message; ADDRESS stands for the server that is no node. */
type Case = readonly [args: string, code: number, ...words: readonly string[]]

const FILES: readonly Case[] = [
  ['key show text.txt', 1, 'text.txt does not hold a secret key', 'avatar-kv key create'],
  ['key show empty', 1, 'does not hold a secret key'],
  ['key show .', 1, 'it is a folder'],
  ['key show nope', 1, 'There is no key file nope', 'avatar-kv key create nope'],
  ['key show text.txt/x', 1, 'a part of this path is a file'],
  ['key show /dev/zero', 1, 'too long'],
  ['key create dir', 1, 'dir exists already', 'Name another'],
  ['key create /proc/x', 1, 'Cannot create the key file /proc/x', 'no such file or folder'],
  ['put {} --key text.txt', 1, 'does not hold a secret key', '--key FILE'],
  ['put --file .', 1, 'it is a folder'],
  ['put --file nope', 1, 'no such file'],
  ['put --file binary', 1, 'not UTF-8'],
  ['put --file text.txt', 2, 'The patch is not JSON'],
  ['put --file empty', 2, 'There is no patch'],
  ['put --signed .', 1, 'it is a folder'],
  ['put --signed nope', 1, 'no such file'],
  ['put --signed text.txt', 1, 'line 1 of text.txt', 'nothing was sent'],
  ['put --signed empty', 2, 'There is no record in empty'],
  ['repair --data-dir dir --out r', 1, 'dir'],
  ['repair --data-dir nope --out r', 1, 'nope'],
  ['receipt --check README.md', 1, 'Line 1 of README.md', 'avatar-kv receipt'],
  ['receipt --check .', 1, 'folder'],
  ['receipt --check empty', 1, 'no receipts', 'avatar-kv receipt'],
  ['receipt --check binary', 1, 'not UTF-8'],
  ['receipt --check nope', 1, 'no such file'],
  ['verify README.md', 1, 'README.md is not an archive', 'avatar-kv export'],
  ['verify empty', 1, 'empty is not an archive'],
  ['verify binary', 1, 'binary is not an archive'],
  ['verify dir', 1, 'folder'],
  ['verify nope', 1, 'no such file'],
  ['import README.md --data-dir fresh', 1, 'README.md is not an archive', 'avatar-kv export'],
  ['import dir', 1, 'folder'],
  ['import good --data-dir text.txt', 1, 'a part of this path is a file'],
  ['import good --data-dir /proc/nope', 1, '/proc/nope', 'no such file or folder'],
  ['restore README.md --data-dir r', 1, 'README.md is not a backup', 'avatar-kv backup'],
  ['restore nope --data-dir r', 1, 'nope is not a backup', 'backup.json'],
  ['backup b', 1, 'There are no data of a node in', '--data-dir DIR'],
  ['backup b --data-dir /proc/nope', 1, 'There are no data of a node in /proc/nope'],
  ['backup b --data-dir text.txt', 1, 'a part of this path is a file'],
  ['export --all --data-dir dir', 1, 'There are no data of a node in', '--data-dir DIR'],
  ['host list --data-dir dir', 1, 'There are no data of a node in'],
  ['host list --data-dir text.txt', 1, 'a part of this path is a file'],
  ['host add AVATAR', 1, 'There are no data of a node'],
  ['invite create', 1, 'There are no data of a node'],
  ['start --config nope', 2, 'no such file', '--config FILE'],
  ['start --config .', 2, 'folder', '--config FILE'],
  ['start --config text.txt', 2, 'text.txt is not JSON'],
  ['start --config empty', 2, 'empty is not JSON'],
]

const COMMANDS_OF_A_NODE = [
  'put {"a":1}',
  'get AVATAR',
  'get AVATAR --verify',
  'log AVATAR',
  'status',
  'peers',
  'snapshot',
  'export AVATAR',
  'import text.txt',
  'host status AVATAR',
  'host request',
]
const NODES: readonly Case[] = [
  ...COMMANDS_OF_A_NODE.flatMap((command): Case[] => [
    [`${command} --node ADDRESS`, 1, 'not what an avatar-kv node answers', 'web page', '--node URL'],
    [`${command} --node ADDRESS/empty`, 1, 'not what an avatar-kv node answers', 'empty', '--node URL'],
    [`${command} --node ADDRESS/json`, 1, 'not what an avatar-kv node answers', '--node URL'],
    [`${command} --node http://127.0.0.1:1`, 1, 'Cannot reach the node at http://127.0.0.1:1', 'port', '--node URL'],
    [`${command} --node http://nope.invalid`, 1, 'Cannot reach', 'host', '--node URL'],
  ]),
  ['migrate AVATAR --from ADDRESS --to ADDRESS/json', 1, 'not what an avatar-kv node answers', 'web page'],
  ['migrate AVATAR --from foo --to bar', 2, '"foo" is not the address of a node'],
]

/** Of the operating system or a library, in the middle of a sentence for people. */
const RAW = /\bE[A-Z]{4,}\b|illegal operation|syscall|undefined|\[object|\n +at /

describe.each([
  ['files', FILES],
  ['nodes', NODES],
] as const)('bad %s', (_, cases: readonly Case[]) => {
  it.each(cases.map(([text, code, ...words]) => ({ text, code, words })))('$text', async ({ text, code, words }) => {
    const args = text.split(' ').map((word) => word.replace('ADDRESS', other).replace('AVATAR', AVATAR))
    const plain = await run(args, { cwd })
    expect([plain.code, plain.err]).toEqual([code, expect.stringMatching(/^avatar-kv: .*[.']\n$/)])
    for (const word of words) expect(plain.err).toContain(word)
    expect(plain.err).not.toMatch(RAW)
    expect(plain.err.length).toBeLessThan(600)
    expect(plain.out).toBe('')
    if (args[0] === 'start') return

    const json = await run([...args, '--json'], { cwd })
    expect(json.code).toBe(code)
    const { error } = JSON.parse(json.err) as { error: { code: string; message: string } }
    expect(error.message).toBe(plain.err.replace(/^avatar-kv: /, '').trimEnd())
    expect(error.code).toBe(code === 2 ? 'usage' : error.code)
  })
})

describe('errors with --json', () => {
  it.each([
    [['status', '--verbose']],
    [['log']],
    [['nope']],
    [['get', '0x12']],
    [['restore', 'x']],
    [['export', '--all', AVATAR]],
  ])('are one object for wrong usage, too: %j', async (args) => {
    const { code, out, err } = await run([...args, '--json'], { cwd })
    expect([code, out]).toEqual([2, ''])
    const { error } = JSON.parse(err) as { error: { code: string; message: string } }
    expect(error.code).toBe('usage')
    expect(error.message).not.toMatch(/^error/)
  })

  it('are text where --json is a value', async () => {
    expect((await run(['get', '--', '--json'], { cwd })).err).toContain('error: ')
  })
})

it('a file that is no archive creates no data directory', () => {
  expect(existsSync(join(cwd, 'fresh'))).toBe(false)
})

describe('a key file', () => {
  it('is not advised to be closed to others where it is none', async () => {
    expect((await run(['key', 'show', '/etc/hosts'], { cwd })).err).not.toContain('chmod')
  })
})

describe('a data directory that cannot be made', () => {
  it('ends the start at once, with the reason', async () => {
    const args = [
      MAIN,
      'start',
      '--data-dir',
      '/proc/nope',
      '--http',
      '127.0.0.1:0',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
    ]
    const { code, err } = await new Promise<{ code: unknown; err: string }>((done) => {
      execFile(process.execPath, args, { cwd }, (error, _out, stderr) => done({ code: error?.code, err: stderr }))
    })
    expect([code, err]).toEqual([1, expect.stringContaining('The data directory /proc/nope cannot be used: ')])
    expect(err).toContain('--data-dir DIR')
  })
})

describe('Ctrl-C', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    '(%s) ends an export by the signal, leaves no part, and says so',
    async (signal) => {
      const args = [MAIN, 'export', AVATAR, '--no-links', '--node', `${other}/slow`, '--out', 'cut.ndjson']
      const child = execFile(process.execPath, args, { cwd })
      let err = ''
      child.stderr?.on('data', (text: string) => void (err += text))
      await expect.poll(() => existsSync(join(cwd, 'cut.ndjson.part'))).toBe(true)
      child.kill(signal)
      expect(await once(child, 'exit')).toEqual([null, signal])
      expect(existsSync(join(cwd, 'cut.ndjson.part'))).toBe(false)
      expect(err).toBe('avatar-kv: interrupted. No file was written. Run the same command again.\n')
    },
  )
})
