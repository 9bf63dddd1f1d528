import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { ConfigError } from '../../src/config/errors.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { ConfigSources } from '../../src/config/load.ts'
import { defaultConfigText } from '../../src/config/package-files.ts'
import { CONFIG_KEYS } from '../../src/config/schema.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'avatar-kv-config-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function load(sources: Partial<ConfigSources>) {
  return loadConfig({ flags: {}, env: {}, cwd: directory, ...sources })
}

function file(name: string, content: unknown): string {
  writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content))
  return name
}

function refusal(sources: Partial<ConfigSources>): ConfigError {
  try {
    load(sources)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('was taken')
}

describe('defaults', () => {
  it('names every key in config/default.json', () => {
    expect(Object.keys(JSON.parse(defaultConfigText()) as object).sort()).toEqual([...CONFIG_KEYS].sort())
  })

  it('shows no password of a database in an error', () => {
    for (const url of [
      'mysql://kv:hunter2@db.example.org/kv',
      'postgres://kv:hunter2@db/kv kv',
      'postgres:kv?password=hunter2',
    ]) {
      expect(() => load({ flags: { store: url } })).toThrow(/"store".*postgres:\/\//)
      expect(() => load({ flags: { store: url } })).not.toThrow(/hunter2/)
    }
    expect(load({ flags: { store: 'postgres://kv:hunter2@db.example.org:5432/kv' } }).store).toContain('hunter2')
  })

  it('are used where nothing else says', () => {
    expect(load({})).toEqual({
      dataDir: join(directory, 'data'),
      store: '',
      http: { host: '127.0.0.1', port: 4381 },
      httpTrustedProxies: ['loopback'],
      httpPublicUrl: '',
      node: { name: '', contact: '', policy: '' },
      listen: ['/ip4/0.0.0.0/tcp/4382'],
      announce: [],
      peers: [],
      seeds: [],
      discovery: true,
      mdns: true,
      upnp: false,
      network: 'main',
      gossip: true,
      syncIntervalSeconds: 30,
      hostingMode: 'all',
      hostingPolicy: 'closed',
      hostingPolicyCommand: [],
      hostingPullPrivate: false,
      hostingLinks: 16,
      archive: false,
      archiveErased: false,
      caches: { storeBytes: 33_554_432, answersBytes: 16_777_216 },
      quotas: { avatarBytes: 1_073_741_824, avatarRecords: 1_000_000, totalBytes: 0, totalRecords: 0 },
      isTotalQuotaAuto: true,
      disk: { newAvatarsPercent: 10, writesPercent: 5 },
      logLevel: 'info',
      logFormat: 'auto',
      said: new Set(),
    })
  })
})

describe('precedence', () => {
  it('is flags, environment, file, defaults, key by key', () => {
    const config = file('c.json', { network: 'from-file', log_level: 'warn', data_dir: 'file-dir', http: '[::1]:1' })
    const env = {
      AVATAR_KV_CONFIG: 'not-there.json',
      AVATAR_KV_NETWORK: 'from-env',
      AVATAR_KV_DATA_DIR: 'env-dir',
      AVATAR_KV_PEERS: '/ip4/192.0.2.1/tcp/1, /dns4/example.org/tcp/2',
      PATH: '/bin',
    }
    expect(load({ flags: { config, network: 'from-flag', listen: undefined }, env })).toMatchObject({
      network: 'from-flag',
      dataDir: join(directory, 'env-dir'),
      logLevel: 'warn',
      http: { host: '::1', port: 1 },
      peers: ['/ip4/192.0.2.1/tcp/1', '/dns4/example.org/tcp/2'],
      listen: ['/ip4/0.0.0.0/tcp/4382'],
      said: new Set(['data_dir', 'http', 'peers', 'network', 'log_level']),
    })
  })

  it('finds the file by AVATAR_KV_CONFIG, and takes an empty variable as not set', () => {
    const env = {
      AVATAR_KV_CONFIG: file('d.json', { network: 'd' }),
      AVATAR_KV_NETWORK: '',
      AVATAR_KV_NODE: 'http://x',
    }
    expect(load({ env }).network).toBe('d')
    expect(load({ env: { AVATAR_KV_CONFIG: '' } }).network).toBe('main')
  })
})

it('takes trusted proxies as addresses, networks and words', () => {
  const proxies = (text: string) => load({ env: { AVATAR_KV_HTTP_TRUSTED_PROXIES: text } }).httpTrustedProxies
  expect(proxies('loopback, 10.0.0.0/8,2001:db8::1')).toEqual(['loopback', '10.0.0.0/8', '2001:db8::1'])
  expect(proxies('none')).toEqual(['none'])
})

describe('numbers and switches', () => {
  it('are themselves in a file, and text in variables and flags', () => {
    const config = file('s.json', { gossip: false, sync_interval_seconds: 1 })
    expect(load({ flags: { config } })).toMatchObject({ gossip: false, syncIntervalSeconds: 1 })
    const env = { AVATAR_KV_GOSSIP: 'true', AVATAR_KV_SYNC_INTERVAL_SECONDS: '3600' }
    expect(load({ flags: { config }, env })).toMatchObject({ gossip: true, syncIntervalSeconds: 3600 })
    const flags = { config, gossip: 'false', sync_interval_seconds: '7' }
    expect(load({ flags, env })).toMatchObject({ gossip: false, syncIntervalSeconds: 7 })
  })

  it.each(['0', '3601', '1.5', '-1', '1e2', ' 5', '0x10', 'often', '99999999999'])('an interval of %j', (text) => {
    const { code, message } = refusal({ flags: { sync_interval_seconds: text } })
    expect(code).toBe('bad_value')
    expect(message).toContain('"sync_interval_seconds"')
    expect(message).toContain('--sync-interval-seconds')
    expect(message).toContain('from 1 to 3600')
  })

  it('quotas and archive', () => {
    const config = file('q.json', { archive: true, quota_avatar_bytes: 5, quota_total_records: 0 })
    const env = { AVATAR_KV_QUOTA_AVATAR_RECORDS: '7', AVATAR_KV_QUOTA_TOTAL_RECORDS: '9007199254740991' }
    expect(load({ flags: { config, quota_total_bytes: '8' }, env })).toMatchObject({
      archive: true,
      quotas: { avatarBytes: 5, avatarRecords: 7, totalBytes: 8, totalRecords: Number.MAX_SAFE_INTEGER },
    })
    for (const text of ['-1', '1.5', '1e9', '9007199254740992', '1GB']) {
      const { code, message } = refusal({ flags: { quota_avatar_bytes: text } })
      expect([code, message]).toEqual(['bad_value', expect.stringContaining('--quota-avatar-bytes')])
      expect(message).toContain('0 is no limit')
    }
  })

  it('memory of caches, a third of it for answers', () => {
    expect(load({}).caches).toEqual({ storeBytes: 32 * 2 ** 20, answersBytes: 16 * 2 ** 20 })
    const env = { AVATAR_KV_CACHE_BYTES: '6291456' }
    expect(load({ env }).caches).toEqual({ storeBytes: 4 * 2 ** 20, answersBytes: 2 * 2 ** 20 })
    for (const text of ['0', '4194303', '68719476737', '64MiB']) {
      const { code, message } = refusal({ flags: { cache_bytes: text } })
      expect([code, message]).toEqual(['bad_value', expect.stringContaining('from 4194304 (4 MiB)')])
      expect(message).toContain('--cache-bytes')
    }
  })

  it.each(['yes', '', 'TRUE', '1', '__proto__', 'toString'])('gossip %j', (text) => {
    const { code, message } = refusal({ flags: { gossip: text } })
    expect(code).toBe('bad_value')
    expect(message).toContain('true or false')
  })

  it('as texts in a file are refused', () => {
    expect(refusal({ flags: { config: file('w.json', { gossip: 'true' }) } }).code).toBe('bad_value')
    expect(refusal({ flags: { config: file('v.json', { sync_interval_seconds: '5' }) } }).code).toBe('bad_value')
  })
})

describe('refusals name key, value and source', () => {
  it.each([
    [
      'unknown key in a file',
      () => ({ flags: { config: file('u.json', { netwrok: 'x' }) } }),
      'unknown_key',
      ['netwrok', 'u.json', 'Did you mean "network"?'],
    ],
    [
      '__proto__ in a file',
      () => ({ flags: { config: file('p.json', '{"__proto__":{"network":"x"}}') } }),
      'unknown_key',
      ['__proto__'],
    ],
    [
      'a key that is like no other',
      () => ({ flags: { config: file('o.json', { colour: 'x' }) } }),
      'unknown_key',
      ['colour', 'Known keys: data_dir,'],
    ],
    [
      'bad network',
      () => ({ env: { AVATAR_KV_NETWORK: 'Main!' } }),
      'bad_value',
      ['"network"', 'Main!', 'AVATAR_KV_NETWORK'],
    ],
    [
      'bad level',
      () => ({ flags: { log_level: 'loud' } }),
      'bad_value',
      ['"log_level"', 'loud', '--log-level', 'trace'],
    ],
    [
      'wrong type',
      () => ({ flags: { config: file('t.json', { listen: '/ip4/0.0.0.0/tcp/1' }) } }),
      'bad_value',
      ['"listen"', 't.json'],
    ],
    ['wrong item', () => ({ flags: { config: file('i.json', { peers: [7] }) } }), 'bad_value', ['"peers"', '[7]']],
    [
      'address without port',
      () => ({ flags: { http: '127.0.0.1' } }),
      'bad_value',
      ['"http"', '127.0.0.1', '--http', 'HOST:PORT'],
    ],
    ['a URL as address', () => ({ flags: { http: 'http://127.0.0.1:80' } }), 'bad_value', ['"http"']],
    ['port too great', () => ({ flags: { http: '127.0.0.1:65536' } }), 'bad_value', ['65536']],
    [
      'broken multiaddr',
      () => ({ flags: { peers: ['127.0.0.1:4382'] } }),
      'bad_value',
      ['"peers"', '--peer', '127.0.0.1:4382'],
    ],
    [
      'broken seed',
      () => ({ flags: { seeds: ['seed.example.org'] } }),
      'bad_value',
      ['"seeds"', '--seed', 'seed.example.org', '/dnsaddr/'],
    ],
    [
      'seeds without discovery',
      () => ({ flags: { seeds: ['/dnsaddr/seed.example.org'], discovery: 'false' } }),
      'bad_value',
      ['"seeds"', 'discovery true'],
    ],
    [
      'UDP',
      () => ({ flags: { listen: ['/ip4/0.0.0.0/udp/1/quic-v1'] } }),
      'bad_value',
      ['"listen"', 'not a TCP address'],
    ],
    [
      'a trusted proxy that is no address',
      () => ({ flags: { http_trusted_proxies: ['proxy.example'] } }),
      'bad_value',
      ['"http_trusted_proxies"', '--http-trusted-proxies', 'proxy.example', 'neither an IP address nor a network'],
    ],
    [
      'a trusted network with too many bits',
      () => ({ flags: { http_trusted_proxies: ['10.0.0.0/33'] } }),
      'bad_value',
      ['10.0.0.0/33'],
    ],
    [
      'nobody and somebody trusted',
      () => ({ env: { AVATAR_KV_HTTP_TRUSTED_PROXIES: 'loopback,none' } }),
      'bad_value',
      ['none must stand alone'],
    ],
    [
      'too many peers',
      () => ({ flags: { peers: Array<string>(257).fill('/ip4/192.0.2.1/tcp/1') } }),
      'bad_value',
      ['"peers"', '256'],
    ],
    ['no such file', () => ({ flags: { config: 'none.json' } }), 'unreadable_file', ['none.json']],
    ['not JSON', () => ({ flags: { config: file('n.json', '{network:1}') } }), 'bad_file', ['n.json']],
    [
      'a key given twice',
      () => ({ flags: { config: file('d.json', '{"network":"a","listen":[],"network":"b"}') } }),
      'bad_file',
      ['d.json', '"network"', 'twice', 'Remove'],
    ],
    ['not an object', () => ({ flags: { config: file('a.json', []) } }), 'bad_file', ['a.json']],
  ] as const)('%s', (_, sources, code, parts) => {
    const error = refusal(sources() as Partial<ConfigSources>)
    expect(error.code).toBe(code)
    for (const part of parts) expect(error.message).toContain(part)
    expect(error.message.length).toBeLessThan(1000)
  })
})

it.each([
  ['a byte order mark', Buffer.from('\ufeff{"network":"other"}'), undefined],
  [
    'UTF-16',
    Buffer.from('\ufeff{"network":"other"}', 'utf16le'),
    /it is UTF-16 text\. Save it as UTF-8\. Name another/,
  ],
  ['Latin-1', Buffer.from('{"network":"caf\xe9"}', 'latin1'), /it is not UTF-8 text\. Save it as UTF-8\. Name another/],
])('a file with %s is read, or named', (_, bytes, words) => {
  writeFileSync(join(directory, 'c.json'), bytes)
  const read = () => load({ flags: { config: 'c.json' } })
  if (words === undefined) expect(read().network).toBe('other')
  else expect(read).toThrow(words)
})

describe('what the operator says about the node', () => {
  it('is taken from flags, variables and the file', () => {
    const config = file('node.json', { node_name: 'Häfen & Söhne 🚢', node_policy: 'First line.\nSecond line.' })
    const env = { AVATAR_KV_NODE_CONTACT: 'ops@harbour.example' }
    expect(load({ flags: { config, http_public_url: 'https://harbour.example/kv' }, env })).toMatchObject({
      node: { name: 'Häfen & Söhne 🚢', contact: 'ops@harbour.example', policy: 'First line.\nSecond line.' },
      httpPublicUrl: 'https://harbour.example/kv',
    })
    expect(load({ flags: { node_contact: 'https://harbour.example/imprint' } }).node.contact).toMatch(/^https:/)
  })

  it.each([
    ['node_name', 'x'.repeat(65), '64 characters'],
    ['node_name', 'two\nlines', 'line break'],
    ['node_name', 'red \u001b[31m', 'U+001B at 5 is not printable'],
    ['node_name', 'reversed \u202e', 'U+202E'],
    ['node_name', 'half \ud83d', 'U+D83D'],
    ['node_name', '   ', 'blank'],
    ['node_policy', 'x'.repeat(4_001), '4000 characters'],
    ['node_policy', 'a\rb', 'U+000D'],
    ['node_contact', 'ops', 'neither a mail address nor an https:// URL'],
    ['node_contact', 'http://harbour.example', 'neither'],
    ['node_contact', 'javascript:alert(1)', 'neither'],
    ['node_contact', 'https://user:secret@harbour.example', 'neither'],
    ['node_contact', `https://${'x'.repeat(254)}.example`, '254 characters'],
    ['http_public_url', 'harbour.example', 'not a URL'],
    ['http_public_url', 'ftp://harbour.example', 'must begin with https:// or http://'],
    ['http_public_url', 'https://harbour.example/?a=b', 'query'],
    ['http_public_url', 'https://harb\u00f6ur.example', 'not a URL'],
  ])('refuses %s %j', (key, value, why) => {
    const { code, message } = refusal({ flags: { [key]: value } })
    expect([code, message]).toEqual(['bad_value', expect.stringContaining(why)])
    expect(message).toContain(key)
  })
})
