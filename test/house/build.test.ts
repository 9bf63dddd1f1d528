import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

let root: string
beforeEach(() => {
  // A project as small as can be, built by the real script.
  root = mkdtempSync(join(tmpdir(), 'avatar-kv-build-'))
  for (const path of ['config', 'package.json', 'package-lock.json', 'tsconfig.json'])
    cpSync(path, join(root, path), { recursive: true })
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'))
  mkdirSync(join(root, 'src/explorer/styles'), { recursive: true })
  mkdirSync(join(root, 'src/verify'), { recursive: true })
  writeFileSync(join(root, 'src/verify/worker.ts'), 'export const two: number = 2\n')
  writeFileSync(join(root, 'src/main.ts'), 'export const one: number = 1\n')
  writeFileSync(join(root, 'src/explorer/styles/docs.css'), 'main { color: red }\n')
  writeFileSync(join(root, 'src/explorer/index.html'), '<!doctype html><title>x</title>\n')
})
afterEach(() => rmSync(root, { recursive: true }))

function build(...args: string[]) {
  return new Promise<{ code: unknown; text: string }>((done) => {
    execFile(process.execPath, [join(root, 'config/build.js'), ...args], (error, out, err) =>
      done({ code: error?.code ?? 0, text: out + err }),
    )
  })
}

it('builds once, and again when a source has changed or a product is gone', async () => {
  const first = await build('--if-needed')
  expect(first.text).toMatch(/^Building the node[^]*Built in \d+ s\.\n$/)
  expect(first.code).toBe(0)
  expect(existsSync(join(root, 'dist/main.js'))).toBe(true)
  expect(await build('--if-needed')).toEqual({ code: 0, text: '' })

  rmSync(join(root, 'dist/main.js'))
  expect((await build('--if-needed')).text).toContain('Built')

  const later = new Date(Date.now() + 60_000)
  utimesSync(join(root, 'src/main.ts'), later, later)
  expect((await build('--if-needed')).text).toContain('Built')
})

it('fails with what the compiler said, and is needed again then', async () => {
  writeFileSync(join(root, 'src/main.ts'), "export const one: number = 'x'\n")
  for (let turn = 0; turn < 2; turn++) {
    const { code, text } = await build('--if-needed')
    expect(code).toBe(1)
    expect(text).toContain('TS2322')
    expect(text).toContain('The build failed')
  }
})

it('says what to do where the packages are not installed', async () => {
  rmSync(join(root, 'node_modules'))
  expect(await build('--if-needed')).toEqual({ code: 1, text: expect.stringContaining('Run npm ci') })
})
