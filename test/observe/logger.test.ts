import { describe, expect, it } from 'vitest'

import { createLineLimiter } from '../../src/observe/line-limiter.ts'
import { createLogger } from '../../src/observe/logger.ts'

function capture() {
  const lines: string[] = []
  return { lines, destination: { write: (line: string) => void lines.push(line) } }
}

describe('createLogger', () => {
  it('writes one JSON object a line, with level as a word and time in ISO 8601', () => {
    const { lines, destination } = capture()
    const logger = createLogger({ level: 'info', pretty: false }, destination)
    logger.child({ part: 'network' }).info({ peer: 'a\nb' }, 'connected')
    logger.debug('not at this level')
    expect(lines).toHaveLength(1)
    expect(lines[0]?.trimEnd()).not.toContain('\n')
    const { time, ...rest } = JSON.parse(lines[0] ?? '') as { time: string }
    expect(rest).toEqual({ level: 'info', part: 'network', peer: 'a\nb', msg: 'connected' })
    expect(new Date(time).toISOString()).toBe(time)
  })

  it('writes text for people when asked', () => {
    let text = ''
    const logger = createLogger({ level: 'info', pretty: true }, { write: (line: string) => void (text += line) })
    logger.info({ http: '127.0.0.1:4381' }, 'started')
    expect(text).toMatch(/INFO.*started/)
    expect(text).toContain('http')
  })
})

describe('lines that come in floods', () => {
  it('are written at a rate by kind, and the rest is counted', () => {
    const { lines, destination } = capture()
    const logger = createLogger({ level: 'debug', pretty: false }, destination)
    for (let n = 0; n < 5_000; n++) logger.child({ part: 'http' }).error({ n }, 'request failed')
    logger.info('something else')
    logger.fatal('the end')
    const texts = lines.map((line) => JSON.parse(line) as { msg: string; left_out?: Record<string, number> })
    const failed = texts.filter(({ msg }) => msg === 'request failed')
    expect(failed.length).toBeGreaterThanOrEqual(20)
    expect(failed.length).toBeLessThan(200)
    const told = texts.filter(({ msg }) => msg === 'lines left out')
    expect(told.length).toBeGreaterThan(0)
    expect(texts.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['something else', 'the end']))
  })

  it('are bounded even if each has another text, and a component of libp2p is one kind', () => {
    const { lines, destination } = capture()
    const logger = createLogger({ level: 'warn', pretty: false }, destination)
    for (let n = 0; n < 3_000; n++) logger.warn({ component: 'libp2p:tcp' }, `from 192.0.2.${n}`)
    expect(lines.length).toBeLessThan(100)
    for (let n = 0; n < 3_000; n++) logger.warn(`text ${n} of a stranger`)
    expect(lines.length).toBeLessThan(1_000)
  })

  it('come again once time has passed, and every line left out is told once', () => {
    let nowMs = 0
    const limiter = createLineLimiter(() => nowMs)
    const admitted = () =>
      Array.from({ length: 100 }, () => limiter.admits(50, 'request failed')).filter(Boolean).length
    expect(admitted()).toBe(20)
    expect(limiter.due()).toEqual({ 'request failed': 80 })
    nowMs += 5_000
    expect(admitted()).toBe(5)
    expect(limiter.due()).toBeUndefined()
    nowMs += 5_000
    expect(limiter.due()).toEqual({ 'request failed': 95 })
    expect(limiter.due()).toBeUndefined()
    expect(Array.from({ length: 50 }, () => limiter.admits(60, 'the end')).every(Boolean)).toBe(true)
  })
})
