import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { CommandContext } from '../../src/cli/lib/context.ts'
import { agreeOnHost } from '../../src/cli/lib/migrate-consent.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../http/writer.ts'

const { avatar } = newKey()

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode({
    about: { name: 'Harbour', contact: 'ops@harbour.example', policy: 'Members\u001b[2J only.' },
  })
})
afterAll(() => node.close())

/** A person at a terminal who types this. */
function person(answer: string) {
  const notes: string[] = []
  const context: CommandContext = {
    environment: systemEnvironment(),
    env: {},
    cwd: '/',
    command: 'avatar-kv',
    stdin: Object.assign(Readable.from([Buffer.from(answer)]), { isTTY: true }),
    terminal: true,
    stdout: new Writable(),
    draw: undefined,
    onInterrupt: () => () => undefined,
    out: () => undefined,
    note: (text) => void notes.push(text),
  }
  return { context, said: () => notes.join('\n') }
}

test('a person sees who runs the new host, and decides', async () => {
  const to = node.url('')
  const no = person('n\n')
  await expect(agreeOnHost(avatar, { to }, no.context)).rejects.toMatchObject({ code: 'failed' })
  expect(no.said()).toMatch(/^ {2}name +Harbour$/m)
  expect(no.said()).toMatch(/^ {2}contact +ops@harbour\.example$/m)
  expect(no.said()).toContain('policy   Members\\u001b[2J only.')
  expect(no.said()).toContain(`Move ${avatar} to ${to}? [y/N]`)
  await agreeOnHost(avatar, { to }, person('y\n').context)
})

test.each([{ yes: true as const }, { json: true as const }])('with %j nobody is asked', async (options) => {
  const { context, said } = person('n\n')
  await agreeOnHost(avatar, { to: node.url(''), ...options }, context)
  expect(said()).toContain('Harbour')
  expect(said()).not.toContain('[y/N]')
})

test('without a terminal nobody is asked, and a host that does not answer is left to the move', async () => {
  const { context, said } = person('n\n')
  await agreeOnHost(avatar, { to: node.url('') }, { ...context, terminal: false })
  expect(said()).not.toContain('[y/N]')
  const down = person('n\n')
  await agreeOnHost(avatar, { to: 'http://127.0.0.1:1' }, down.context)
  expect(down.said()).toBe('')
})
