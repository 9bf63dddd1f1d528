import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { avatarOf, parseSecretKey, uncompressedAvatar } from '../../src/record/keys.ts'
import { run } from './run.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-key-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

describe('key create', () => {
  it('writes a secret key that its owner alone can read, and prints its avatar', async () => {
    const { code, out } = await run(['key', 'create'], { cwd })
    expect(code).toBe(0)
    const file = join(cwd, 'avatar.key')
    const text = readFileSync(file, 'utf8')
    expect(text).toMatch(/^[0-9a-f]{64}\n$/)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(out).toBe(`${avatarOf(parseSecretKey(text.trim()))}\n`)
    expect(out).not.toContain(text.trim())
  })

  it('never overwrites', async () => {
    writeFileSync(join(cwd, 'mine.key'), 'precious')
    const { code, out, err } = await run(['key', 'create', 'mine.key'], { cwd })
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toContain('mine.key exists already')
    expect(readFileSync(join(cwd, 'mine.key'), 'utf8')).toBe('precious')
  })

  it('makes another key each time', async () => {
    const [one, other] = [await run(['key', 'create', 'a'], { cwd }), await run(['key', 'create', 'b'], { cwd })]
    expect(one.out).not.toBe(other.out)
  })

  it('says where it cannot write', async () => {
    const { code, err } = await run(['key', 'create', 'no/such/dir.key'], { cwd })
    expect(code).toBe(1)
    expect(err).toContain('no/such/dir.key')
  })
})

describe('key show', () => {
  it('prints both forms of the avatar as JSON, and the secret key only when asked', async () => {
    const created = JSON.parse((await run(['key', 'create', '--json'], { cwd })).out) as { avatar: `0x${string}` }
    const secret = readFileSync(join(cwd, 'avatar.key'), 'utf8').trim()
    const { avatar } = created
    const plain = await run(['key', 'show', '--json'], { cwd })
    expect(JSON.parse(plain.out)).toEqual({ avatar, uncompressed: uncompressedAvatar(avatar) })
    expect((await run(['key', 'show'], { cwd })).out).toBe(`${avatar}\n`)
    expect((await run(['key', 'show', '--secret'], { cwd })).out).toBe(`${avatar}\n${secret}\n`)
    expect(JSON.parse((await run(['key', 'show', '--secret', '--json'], { cwd })).out)).toHaveProperty('secret', secret)
  })

  it('warns where others can read the file', async () => {
    await run(['key', 'create'], { cwd })
    expect((await run(['key', 'show'], { cwd })).err).toBe('')
    chmodSync(join(cwd, 'avatar.key'), 0o644)
    const { code, err } = await run(['key', 'show'], { cwd })
    expect(code).toBe(0)
    expect(err).toContain('chmod 600')
  })

  it.each([
    ['no file', undefined, 'key create'],
    ['no key', 'hello', 'does not hold a secret key'],
    ['zero', '0'.repeat(64), 'does not hold a secret key'],
    ['the order of the group', 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'does not hold'],
    ['another file', 'x'.repeat(5000), 'too long'],
  ])('refuses %s', async (_, text, message) => {
    if (text !== undefined) writeFileSync(join(cwd, 'avatar.key'), text, { mode: 0o600 })
    const { code, out, err } = await run(['key', 'show'], { cwd })
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toContain(message)
    if (text !== undefined) expect(err).not.toContain(text)
  })
})
