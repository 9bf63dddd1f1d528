import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { HOMES_KEY } from '../../src/homes/homes.ts'
import type { JsonValue } from '../../src/record/types.ts'
import { run } from '../cli/run.ts'
import type { HttpNode } from '../http/node.ts'
import { newKey, signedPatch } from '../http/writer.ts'
import { give, openFolder, openNode, shown, url } from './hosts.ts'

const OLD = 'https://old.example.org'

/** An avatar that has lists of homes, at one of two nodes, and its key in a file. */
async function setting(homes?: JsonValue) {
  const [source, target, folder] = [await openNode(), await openNode(), await openFolder()]
  const key = newKey()
  const own = { platform: 'nextid', identity: key.avatar }
  const first = signedPatch(key, { ...own, patch: { name: 'Alice' } })
  const listed = homes === undefined ? [] : [{ ...own, patch: { [HOMES_KEY]: homes }, prev: [first.citation] }]
  await give(source, [first, ...listed.map((patch) => signedPatch(key, patch))])
  await writeFile(join(folder, 'avatar.key'), `${Buffer.from(key.secretKey).toString('hex')}\n`, { mode: 0o600 })
  const move = (...more: string[]) =>
    run(['migrate', key.avatar, '--from', url(source), '--to', url(target), ...more], { cwd: folder })
  return { source, target, key, folder, move }
}

async function homesAt(node: HttpNode, avatar: string): Promise<unknown> {
  const { namespaces } = (await shown(node, avatar)) as { namespaces: { content: Record<string, unknown> }[] }
  return namespaces[0]?.content[HOMES_KEY]
}

describe('migrate and the list of homes', () => {
  it('lists the new host first at both, with --key, and keeps what else is there', async () => {
    const { source, target, key, move } = await setting([OLD, 'no home'])
    const { code, out } = await move('--key', 'avatar.key', '--json')
    const expected = [url(target), OLD, 'no home']
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ outcome: 'equal', homes: expected, head: 3 })
    expect(await homesAt(target, key.avatar)).toEqual(expected)
    expect(await shown(target, key.avatar)).toEqual(await shown(source, key.avatar))
  })

  it('takes the old host off with --leave-old, however its address is written', async () => {
    const { source, target, key, move } = await setting([`placeholder`, OLD])
    const own = { platform: 'nextid', identity: key.avatar }
    const { tips } = (await shown(source, key.avatar)) as { tips: { counter: number; id: `0x${string}` }[] }
    await give(source, [signedPatch(key, { ...own, prev: tips, patch: { [HOMES_KEY]: [`${url(source)}/`, OLD] } })])
    const { code } = await move('--update-homes', '--leave-old', '--home', 'https://new.example.org/')
    expect(code).toBe(0)
    expect(await homesAt(target, key.avatar)).toEqual(['https://new.example.org', OLD])
  })

  it('writes nothing where nothing changes', async () => {
    const { target, key, move } = await setting()
    expect((await move('--update-homes')).code).toBe(0)
    const { code, out } = await move('--update-homes', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ homes: null, head: 2 })
    expect(await homesAt(target, key.avatar)).toEqual([url(target)])
  })

  it('prints the command without a key, and that command does it', async () => {
    const { target, key, folder, move } = await setting([OLD])
    const { code, err } = await move()
    expect(code).toBe(0)
    expect(await homesAt(target, key.avatar)).toEqual([OLD])
    const [, patch] = /avatar-kv put '(.*)' --node/.exec(err) ?? []
    expect((await run(['put', patch ?? '', '--node', url(target)], { cwd: folder })).code).toBe(0)
    expect(await homesAt(target, key.avatar)).toEqual([url(target), OLD])
  })

  it.each([
    ['the key of somebody else', ['--key', 'other.key'], 'is the key of'],
    ['--leave-old without a key', ['--leave-old'], 'add --key FILE'],
    ['a key that is not there', ['--key', 'none.key'], 'There is no key file'],
  ])('refuses %s before anything is moved', async (_, more, message) => {
    const { target, key, folder, move } = await setting()
    await run(['key', 'create', 'other.key'], { cwd: folder })
    const { code, err } = await move(...more)
    expect(code).toBeGreaterThan(0)
    expect(err).toContain(message)
    expect(await shown(target, key.avatar)).toBeUndefined()
  })
})

describe('the command line', () => {
  it.each([
    ['one host only', ['--from', 'http://127.0.0.1:1'], 2, 'Name the new host: --to ADDRESS'],
    ['one host twice', ['--from', 'http://a', '--to', 'http://a'], 2, 'the same host'],
    ['an address that is none', ['--from', 'ftp://a', '--to', 'http://a'], 2, 'is not the address of a node'],
    [
      'a multiaddr that is none',
      ['--from', '/ip4/1.2.3.4', '--to', '/ip4/127.0.0.1/tcp/1'],
      1,
      'Cannot use the address',
    ],
    ['a host that is not there', ['--from', 'http://127.0.0.1:1', '--to', 'http://127.0.0.1:2'], 1, 'Cannot reach'],
  ])('says what is wrong with %s', async (_, args, code, message) => {
    const outcome = await run(['migrate', newKey().avatar, ...args], { cwd: await openFolder() })
    expect(outcome.err).toContain(message)
    expect(outcome).toMatchObject({ code, out: '' })
  })
})
