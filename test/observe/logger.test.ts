import { describe, expect, it } from 'vitest'

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
