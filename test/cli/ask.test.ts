import { Readable, Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'

import { askLine, confirm } from '../../src/cli/lib/ask.ts'
import type { CommandContext } from '../../src/cli/lib/context.ts'
import { systemEnvironment } from '../../src/platform/system.ts'

/** A person who types `text`, or a program that writes it. */
function typing(text: string, isTTY: boolean): { context: CommandContext; notes: string[] } {
  const notes: string[] = []
  const stdin = Object.assign(Readable.from(text === '' ? [] : [Buffer.from(text)]), { isTTY })
  const out = (): void => undefined
  const note = (line: string): void => void notes.push(line)
  const streams = {
    stdin,
    stdout: new Writable(),
    draw: undefined,
    onInterrupt: () => () => undefined,
    terminal: isTTY,
    out,
    note,
  }
  return { notes, context: { environment: systemEnvironment(), env: {}, cwd: '.', command: 'avatar-kv', ...streams } }
}

describe('confirm', () => {
  it.each(['y\n', 'Y\n', ' yes \n', 'YES'])('goes on at %j', async (text) => {
    const { context, notes } = typing(text, true)
    await confirm(context, 'Go on?', false)
    expect(notes).toEqual(['Go on? [y/N]'])
  })

  it.each(['', '\n', 'n\n', 'yesterday\n', 'no\ny\n'])('stops at %j', async (text) => {
    await expect(confirm(typing(text, true).context, 'Go on?', false)).rejects.toMatchObject({ code: 'failed' })
  })

  it('asks nobody where --yes was given, and does not take a pipe for a person', async () => {
    const { context, notes } = typing('', false)
    await confirm(context, 'Go on?', true)
    expect(notes).toEqual([])
    await expect(confirm(typing('y\n', false).context, 'Go on?', false)).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('askLine', () => {
  it('reads one line, trimmed, from wherever it comes', async () => {
    expect(await askLine(typing(' 02ab \nmore\n', false).context, 'Type:')).toBe('02ab')
    expect(await askLine(typing('', false).context, 'Type:')).toBe('')
  })
})
