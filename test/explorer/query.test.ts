import { describe, expect, it } from 'vitest'
import { parseQuery } from '../../src/explorer/data/query.ts'
import { uncompressedAvatar } from '../../src/record/keys.ts'

const AVATAR = '0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'

describe('what is typed into the search', () => {
  it.each([
    AVATAR,
    AVATAR.slice(2).toUpperCase(),
    uncompressedAvatar(AVATAR),
    `nextid/${AVATAR}`,
    `https://kv.example/#/avatar/${AVATAR}`,
    `https://kv.example/some/kv/?host=https://a.example#/avatar/${AVATAR}/history?record=0x12`,
  ])('%s names an avatar', (text) => {
    expect(parseQuery(` ${text} `)).toEqual({ kind: 'avatar', avatar: AVATAR })
  })

  it.each([
    ['twitter/alice', 'twitter', 'alice'],
    ['Twitter / @alice', 'twitter', '@alice'],
    ['twitter:alice', 'twitter', 'alice'],
    ['discord/Alice B#0001', 'discord', 'Alice B#0001'],
    ['mastodon.example/alice', 'mastodon.example', 'alice'],
    ['https://twitter.com/alice', 'twitter', 'alice'],
    ['https://x.com/alice?lang=en', 'twitter', 'alice'],
    ['http://mobile.twitter.com/alice/status/1415362679095635970', 'twitter', 'alice'],
    ['x.com/alice', 'twitter', 'alice'],
    ['https://github.com/alice/', 'github', 'alice'],
    ['www.github.com/alice/project', 'github', 'alice'],
    ['https://keybase.io/alice', 'keybase', 'alice'],
    ['https://www.reddit.com/user/alice', 'reddit', 'alice'],
    ['https://old.reddit.com/u/alice/', 'reddit', 'alice'],
    ['https://steamcommunity.com/profiles/76561197960287930', 'steam', '76561197960287930'],
    ['https://www.tiktok.com/@alice', 'tiktok', 'alice'],
    ['https://t.me/alice', 'telegram', 'alice'],
    ['https://www.minds.com/alice', 'minds', 'alice'],
    ['https://hey.xyz/u/alice', 'lens', 'alice'],
    [
      'https://etherscan.io/address/0x0000000000000000000000000000000000000001',
      'ethereum',
      '0x0000000000000000000000000000000000000001',
    ],
    ['https://mastodon.example/@alice', 'activitypub', 'alice@mastodon.example'],
    ['@alice@mastodon.example', 'activitypub', 'alice@mastodon.example'],
    ['acct:alice@mastodon.example', 'activitypub', 'alice@mastodon.example'],
    ['https://github.com/%61lice', 'github', 'alice'],
  ])('%s names an account', (text, platform, identity) => {
    expect(parseQuery(text)).toEqual({ kind: 'identity', platform, identity })
  })

  it.each([
    'https://news.example/today',
    'https://twitter.com/',
    'https://twitter.com/home',
    'https://twitter.com/search?q=alice',
    'ftp://twitter.com/alice',
    'javascript://twitter.com/alice',
    'nextid/alice',
    '/alice',
    'twitter/',
    '0x02',
    '0x'.padEnd(42, 'a'),
    AVATAR.slice(0, -2),
    '\u202e',
  ])('%j names neither, and is told what to type', (text) => {
    const query = parseQuery(text)
    expect(query.kind).toBe('wrong')
    expect(query).toMatchObject({ message: expect.stringMatching(/twitter\/alice|Connect/) })
  })

  it.each(['alice', 'ada lovelace', 'שרה כהן', 'https alice', 'twitter'])(
    '%s is a name, and never a platform',
    (text) => {
      expect(parseQuery(` ${text} `)).toMatchObject({ kind: 'name', name: text })
    },
  )

  it('a word alone is offered as an account of the platforms that most people mean', () => {
    expect(parseQuery('@alice')).toEqual({
      kind: 'name',
      name: 'alice',
      guesses: [
        { platform: 'twitter', identity: 'alice' },
        { platform: 'github', identity: 'alice' },
      ],
    })
    expect(parseQuery('ada lovelace')).toMatchObject({ guesses: [] })
  })
})
