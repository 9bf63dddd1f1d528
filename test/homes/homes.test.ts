import { describe, expect, it } from 'vitest'

import { homesOf, homesOfNamespaces, HOMES_KEY, isUrlHome, normalHome } from '../../src/homes/homes.ts'
import type { Avatar, JsonValue } from '../../src/record/types.ts'

const AVATAR: Avatar = '0x02125f1d96b192e47cea6fd392981b15acf131918f4c53f9ec74783539c9409212'
const MULTIADDR = '/ip4/192.0.2.7/tcp/4382/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

const homes = (listed: JsonValue) => homesOf({ [HOMES_KEY]: listed })

describe('homes', () => {
  it('are the URLs and multiaddrs that the content lists, in order, each once', () => {
    expect(homes(['https://a.example/', MULTIADDR, 'https://A.example', 'http://b.example:4381/kv/'])).toEqual([
      'https://a.example',
      MULTIADDR,
      'http://b.example:4381/kv',
    ])
  })

  it('are sixteen at most, the first', () => {
    const listed = Array.from({ length: 40 }, (_, index) => `https://host${index}.example`)
    expect(homes(listed)).toEqual(listed.slice(0, 16))
  })

  it.each<[string, JsonValue]>([
    ['a text', 'https://a.example'],
    ['an object', { 0: 'https://a.example' }],
    ['nothing', null],
    ['a number', 7],
  ])('are none where the key holds %s', (_, listed) => {
    expect(homes(listed)).toEqual([])
  })

  it('are none where the key is not there', () => {
    expect(homesOf({})).toEqual([])
  })

  it('of what is around them nothing is taken', () => {
    const bad = [7, null, ['https://x.example'], {}, '', '/', 'a.example', 'ftp://a.example', 'javascript:alert(1)']
    expect(homes([...bad, 'https://good.example'])).toEqual(['https://good.example'])
  })

  it.each([
    ['a user name', 'https://me@a.example'],
    ['a password', 'https://:secret@a.example'],
    ['a query', 'https://a.example/?x=1'],
    ['a fragment', 'https://a.example/#x'],
    ['no host', 'https://'],
    ['another scheme', 'file:///etc/passwd'],
    ['more than 256 characters', `https://a.example/${'x'.repeat(256)}`],
    ['more than 256 characters once written out', `https://a.example/${'ü'.repeat(100)}`],
    ['a multiaddr of a unix socket', '/unix/run/node.sock'],
    ['a multiaddr with white space', '/ip4/192.0.2.7/tcp/43 82'],
    ['a path', '/etc/passwd'],
  ])('are not: an address with %s', (_, text) => {
    expect(normalHome(text)).toBeUndefined()
  })

  it('are known as URLs or multiaddrs', () => {
    expect(isUrlHome('https://a.example')).toBe(true)
    expect(isUrlHome(MULTIADDR)).toBe(false)
  })

  it("are taken from the avatar's own namespace alone", () => {
    const content = (home: string) => ({ [HOMES_KEY]: [home] })
    const namespaces = [
      { platform: 'github', identity: AVATAR, content: content('https://other.example') },
      { platform: 'nextid', identity: AVATAR, content: content('https://own.example') },
    ]
    expect(homesOfNamespaces(AVATAR, namespaces)).toEqual(['https://own.example'])
    expect(homesOfNamespaces(AVATAR, namespaces.slice(0, 1))).toEqual([])
  })
})
