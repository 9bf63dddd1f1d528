import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'

import { createLibp2pLogger, formatLine } from '../../src/observe/libp2p-logger.ts'

const PEER = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'

function setUp(level: string) {
  const lines: Record<string, unknown>[] = []
  const logger = pino(
    { level, base: null, timestamp: false },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  )
  const counted: string[] = []
  const metrics = { stranger: (part: string, kind: string) => void counted.push(`${part} ${kind}`) }
  return { log: createLibp2pLogger(logger, metrics).forComponent('libp2p:tcp'), logger, lines, counted }
}

describe('libp2p logger', () => {
  test.each([
    ['dial %p failed', [peerIdFromString(PEER)], `dial ${PEER} failed`],
    ['from %a', [multiaddr('/ip4/127.0.0.1/tcp/1')], 'from /ip4/127.0.0.1/tcp/1'],
    ['%d of %i, %f', [3, 4.7, 1.5], '3 of 4, 1.5'],
    ['%s and %s', ['one'], 'one and %s'],
    ['more', ['args', 1], 'more args 1'],
    ['100%% of %x', ['z'], '100% of %x z'],
    ['bytes %b', [Uint8Array.of(1, 2, 3)], 'bytes AQID'],
    ['%o', [{ a: [1] }], '{"a":[1]}'],
    ['%p %a', [undefined, null], 'undefined null'],
    ['error - %e', [new Error('gone')], 'error - Error: gone'],
    [
      '%e',
      [new AggregateError([new Error('one'), new Error('two')], 'all')],
      'AggregateError: all; Error: one; Error: two',
    ],
    [new Error('alone'), [], 'Error: alone'],
  ])('%j is written out', (formatter, args, line) => {
    expect(formatLine(formatter, args)).toBe(line)
  })

  test('a circular object and a very long line do no harm', () => {
    const circle: { self?: unknown } = {}
    circle.self = circle
    expect(formatLine('%o', [circle])).toBe('[unprintable]')
    expect(formatLine('%s', ['x'.repeat(1_000_000)]).length).toBeLessThan(2010)
  })

  test('lines go to debug, traces to trace, errors to debug; those that name a fault of a program are counted', () => {
    const { log, lines, counted } = setUp('trace')
    log('a %d', 1)
    log.trace('b')
    log.error('c - %e', new Error('reset by peer'))
    log.error(new TypeError('x is not a function'))
    log.newScope('dial')('d')
    expect(lines).toEqual([
      { level: 20, component: 'libp2p:tcp', msg: 'a 1' },
      { level: 10, component: 'libp2p:tcp', msg: 'b' },
      { level: 20, component: 'libp2p:tcp', msg: 'c - Error: reset by peer' },
      { level: 20, component: 'libp2p:tcp', msg: expect.stringMatching(/^TypeError: x is not a function\n/) },
      { level: 20, component: 'libp2p:tcp:dial', msg: 'd' },
    ])
    expect(counted).toEqual(['network libp2p_fault'])
  })

  test('nothing is formatted while its level is off, and the level may change', () => {
    const { log, logger, lines } = setUp('info')
    let formatted = 0
    const probe = { toString: () => `formatted ${(formatted += 1)} times` }
    log('%s', probe)
    log.trace('%s', probe)
    log.error('%s', probe)
    expect(formatted).toBe(0)
    expect(log.enabled).toBe(false)
    logger.level = 'debug'
    expect(log.enabled).toBe(true)
    log('%s', probe)
    log.trace('%s', probe)
    expect(lines).toEqual([{ level: 20, component: 'libp2p:tcp', msg: 'formatted 1 times' }])
  })
})
