import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'

import { unknownVariablesText } from '../../src/config/environment-variables.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { loadConfig } from '../../src/config/load.ts'
import { CONFIG_KEYS } from '../../src/config/schema.ts'
import { run } from '../cli/run.ts'

/** What Kubernetes sets in every container beside a Service named avatar-kv. */
const SERVICE = {
  AVATAR_KV_SERVICE_HOST: '10.0.0.46',
  AVATAR_KV_SERVICE_PORT: '4381',
  AVATAR_KV_SERVICE_PORT_HTTP: '4381',
  AVATAR_KV_PORT: 'tcp://10.0.0.46:4381',
  AVATAR_KV_PORT_4381_TCP: 'tcp://10.0.0.46:4381',
  AVATAR_KV_PORT_4381_TCP_PROTO: 'tcp',
  AVATAR_KV_PORT_4381_TCP_PORT: '4381',
  AVATAR_KV_PORT_4381_TCP_ADDR: '10.0.0.46',
}
const load = (env: Record<string, string>) => loadConfig({ flags: {}, env, cwd: tmpdir() })

describe('variables that avatar-kv does not know', () => {
  it('never stop the node, and change nothing', () => {
    const env = { ...SERVICE, AVATAR_KV_NETWROK: 'x', AVATAR_KV_: 'y' }
    expect(load(env)).toEqual(load({}))
  })

  it('are named in one line, each with the name that it is likely meant for', () => {
    const text = unknownVariablesText({
      PATH: '/bin',
      AVATAR_KV_NETWROK: 'x',
      AVATAR_KV_PEER: 'y',
      AVATAR_KV_NODES: 'z',
      AVATAR_KV_QUOTA_AVATAR_BYTE: '1',
      AVATAR_KV_NETWORK: 'main',
      AVATAR_KV_CONFIG: 'c.json',
      AVATAR_KV_NODE: 'http://127.0.0.1:4381',
    })
    expect(text).toBe(
      'Ignored unknown environment variables: AVATAR_KV_NETWROK (did you mean AVATAR_KV_NETWORK?), ' +
        'AVATAR_KV_PEER (did you mean AVATAR_KV_PEERS?), AVATAR_KV_NODES (did you mean AVATAR_KV_NODE?), ' +
        'AVATAR_KV_QUOTA_AVATAR_BYTE (did you mean AVATAR_KV_QUOTA_AVATAR_BYTES?). ' +
        'Correct or unset them. README lists the known variables.',
    )
  })

  it('of a Kubernetes Service are told apart from slips, and are no suggestion for one', () => {
    const text = unknownVariablesText(SERVICE)
    expect(text).toContain('AVATAR_KV_PORT, ')
    expect(text).not.toContain('did you mean')
    expect(text).toContain('Kubernetes sets them for a Service named avatar-kv')
    expect(text).toContain('enableServiceLinks: false')
  })

  it('are a bounded line, however many and long they are', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`AVATAR_KV_X${n}${'Y'.repeat(500)}`, '1']))
    const text = unknownVariablesText(many) ?? ''
    expect(text.length).toBeLessThan(2000)
    expect(text).toContain('and 4992 more')
  })

  it('are told before a command that only talks to a node, on standard error', async () => {
    const env = { AVATAR_KV_NOED: 'http://192.0.2.1:4381' }
    const { err } = await run(['status', '--node', 'http://127.0.0.1:9'], { cwd: tmpdir(), env })
    expect(err).toContain('AVATAR_KV_NOED (did you mean AVATAR_KV_NODE?)')
    expect(err.match(/AVATAR_KV_NOED/g)).toHaveLength(1)
    const quiet = await run(['status', '--node', 'http://127.0.0.1:9'], { cwd: tmpdir(), env: { AVATAR_KV_NODE: 'x' } })
    expect(quiet.err).not.toContain('Ignored')
  })
})

describe('variables that avatar-kv knows', () => {
  it('are those of config/default.json, and two more', () => {
    for (const key of CONFIG_KEYS)
      expect(unknownVariablesText({ [`AVATAR_KV_${key.toUpperCase()}`]: 'x' })).toBeUndefined()
    const readme = readFileSync('README.md', 'utf8')
    for (const key of CONFIG_KEYS) expect(readme).toContain(`\`AVATAR_KV_${key.toUpperCase()}\``)
  })

  it('are errors where their value is bad', () => {
    expect(() => load({ AVATAR_KV_HTTP: 'tcp://10.0.0.46:4381' })).toThrow(ConfigError)
  })
})
