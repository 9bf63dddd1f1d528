import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'

import { run } from './run.ts'

const cwd = tmpdir()
const MAIN = 'dist/main.js'
const AVATAR = '0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'

describe('help', () => {
  it('lists the commands', async () => {
    const { code, out } = await run(['--help'], { cwd })
    expect(code).toBe(0)
    for (const name of ['start', 'key', 'put', 'get', 'log', 'snapshot', 'status', 'peers', 'demo']) {
      expect(out).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
    }
  })

  it.each(['start', 'put', 'get', 'log', 'snapshot', 'status', 'peers', 'demo', 'key create', 'key show'])(
    '%s has an example',
    async (name) => {
      const { code, out } = await run([...name.split(' '), '--help'], { cwd })
      expect(code).toBe(0)
      expect(out).toContain(`$ avatar-kv ${name.split(' ')[0]}`)
    },
  )

  it('does not load what only a running node needs', () => {
    const hooks = `export async function load(url, context, next) {
      if (/node_modules\\/(libp2p|fastify|level|secp256k1|typebox|pino)\\//.test(url)) throw new Error('loaded ' + url)
      return next(url, context)
    }`
    const register = `import { register } from 'node:module'
      register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})`
    const guard = ['--import', `data:text/javascript,${encodeURIComponent(register)}`]
    expect(execFileSync(process.execPath, [...guard, MAIN, '--help'], { encoding: 'utf8' })).toContain(
      'Usage: avatar-kv',
    )
    expect(() =>
      execFileSync(process.execPath, [...guard, MAIN, 'start', '--network', '!'], { stdio: 'pipe' }),
    ).toThrow(/loaded/)
  })
})

describe('wrong usage ends with exit code 2 and says what is wrong', () => {
  it.each([
    ['nothing', [], 'Usage'],
    ['an unknown command', ['strat'], 'start'],
    ['an unknown option', ['status', '--verbose'], '--verbose'],
    ['a broken avatar', ['get', '0x1234'], 'avatar'],
    ['a hybrid key', ['log', `0x06${'ab'.repeat(64)}`], 'avatar'],
    ['a platform without an identity', ['get', AVATAR, 'twitter'], 'identity'],
    ['a limit of 0', ['log', AVATAR, '--limit', '0'], 'limit'],
    ['a node without a scheme', ['status', '--node', '127.0.0.1:4381'], 'http://HOST:PORT'],
    ['a node that is a file', ['status', '--node', 'file:///etc/passwd'], 'http://HOST:PORT'],
    ['a patch that is not JSON', ['put', '{a:1}'], 'not JSON'],
    [
      'a number that would change',
      ['put', '{"a\\"b":"12345678901234567890","c":[12345678901234567890]}'],
      'Write it as a text',
    ],
    ['a patch that is a list', ['put', '[1]'], 'JSON object'],
    ['two patches', ['put', '{}', '--file', 'x.json'], 'not both'],
    ['no patch at a terminal', ['put'], 'There is no patch'],
    ['a bad configuration value', ['start', '--http', 'nonsense'], 'HOST:PORT'],
  ])('%s', async (_, args, message) => {
    const { code, out, err } = await run(args, { cwd })
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain(message)
  })
})
