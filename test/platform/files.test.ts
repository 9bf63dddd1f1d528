import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { fileProblem, makeDirectory } from '../../src/platform/files.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'avatar-kv-files-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const problem = (path: string) => makeDirectory(path).then(() => 'made', fileProblem)

describe('makeDirectory', () => {
  it('makes what is not there, as often as it is asked, each with the mode', async () => {
    const path = join(root, 'a/b/c')
    await Promise.all([makeDirectory(path), makeDirectory(path), makeDirectory(join(root, 'a/x'))])
    await makeDirectory(path)
    for (const each of ['a', 'a/b', 'a/b/c']) expect(statSync(join(root, each)).mode & 0o777).toBe(0o700)
  })

  it('fails at once where the operating system says that a folder that is there is not', async () => {
    expect(await problem('/proc/nope')).toBe('there is no such file or folder')
    expect(await problem('/proc/nope/deeper/still')).toBe('there is no such file or folder')
  })

  it('fails on a file, be it in the path or at its end', async () => {
    writeFileSync(join(root, 'file'), '')
    expect(await problem(join(root, 'file'))).toBe('a file or folder of that name exists already')
    expect(await problem(join(root, 'file/x'))).toBe('a part of this path is a file, not a folder')
  })
})
