import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Ban {
  readonly what: string
  readonly file: string
  readonly code: string
  readonly rule: string
}

const LAYERS = 'layers(imports)'
const FETCH = 'layers(fetch)'
const GLOBALS = 'eslint(no-restricted-globals)'

/** Each line breaks one rule of the architecture; the linter must name that rule at that file. */
const BANS: readonly Ban[] = [
  { what: 'record/ uses node:', file: 'record/x01.ts', code: "import 'node:fs'", rule: LAYERS },
  {
    what: 'record/ uses a package that is not pure',
    file: 'record/x02.ts',
    code: "import { pino } from 'pino'",
    rule: LAYERS,
  },
  { what: 'record/ imports the store', file: 'record/x03.ts', code: "import { a } from '../store/a.ts'", rule: LAYERS },
  {
    what: 'record/ imports types of the store',
    file: 'record/x04.ts',
    code: "import type { A } from '../store/types.ts'",
    rule: LAYERS,
  },
  { what: 'record/ re-exports the store', file: 'record/x05.ts', code: "export * from '../store/a.ts'", rule: LAYERS },
  {
    what: 'record/ imports the store at run time',
    file: 'record/x06.ts',
    code: "await import('../store/a.ts')",
    rule: LAYERS,
  },
  { what: 'record/ reads the clock', file: 'record/x07.ts', code: 'Date.now()', rule: GLOBALS },
  {
    what: 'record/ draws randomness',
    file: 'record/x08.ts',
    code: 'Math.random()',
    rule: 'eslint(no-restricted-properties)',
  },
  {
    what: 'record/ draws randomness of the platform',
    file: 'record/x09.ts',
    code: 'crypto.randomUUID()',
    rule: GLOBALS,
  },
  { what: 'record/ uses Buffer', file: 'record/x10.ts', code: "Buffer.from('')", rule: GLOBALS },
  { what: 'record/ uses process', file: 'record/x11.ts', code: 'process.exitCode', rule: GLOBALS },
  { what: 'state/ starts a timer', file: 'state/x12.ts', code: 'setTimeout(() => {}, 1)', rule: GLOBALS },
  {
    what: 'state/ uses the environment',
    file: 'state/x13.ts',
    code: "import { e } from '../platform/environment.ts'",
    rule: LAYERS,
  },
  { what: 'state/ reads the clock', file: 'state/x14.ts', code: 'new Date()', rule: GLOBALS },
  { what: 'http/ imports network/', file: 'http/x15.ts', code: "import { a } from '../network/a.ts'", rule: LAYERS },
  {
    what: 'http/ imports network/ from a sub-folder',
    file: 'http/v1/x16.ts',
    code: "import { a } from '../../network/a.ts'",
    rule: LAYERS,
  },
  { what: 'http/ opens the store', file: 'http/x17.ts', code: "import { a } from '../store/store.ts'", rule: LAYERS },
  {
    what: 'http/ takes the side of the store that commits',
    file: 'http/x18.ts',
    code: "import type { Store } from '../store/types.ts'",
    rule: LAYERS,
  },
  { what: 'http/ reads the clock', file: 'http/x19.ts', code: 'Date.now()', rule: GLOBALS },
  { what: 'network/ imports http/', file: 'network/x20.ts', code: "import { a } from '../http/a.ts'", rule: LAYERS },
  {
    what: 'network/ imports store/',
    file: 'network/x21.ts',
    code: "import type { A } from '../store/types.ts'",
    rule: LAYERS,
  },
  { what: 'cli/ imports store/', file: 'cli/x22.ts', code: "import { a } from '../store/a.ts'", rule: LAYERS },
  { what: 'cli/ calls fetch', file: 'cli/x80.ts', code: "await fetch('http://a.example')", rule: FETCH },
  { what: 'cli/ hands on the global fetch', file: 'cli/lib/x81.ts', code: 'export const a = { fetch }', rule: FETCH },
  {
    what: 'hosting/ calls fetch by way of globalThis',
    file: 'hosting/x82.ts',
    code: "export const a = globalThis['fetch']('http://a.example')",
    rule: FETCH,
  },
  { what: 'explorer/ calls fetch', file: 'explorer/x83.ts', code: "fetch('/v2/status')", rule: FETCH },
  {
    what: 'cli/ sends requests by node:http',
    file: 'cli/x84.ts',
    code: "import { request } from 'node:http'\nexport const a = request",
    rule: LAYERS,
  },
  {
    what: 'cli/ sends requests by node:https, loaded late',
    file: 'cli/x85.ts',
    code: "export const a = await import('node:https')",
    rule: LAYERS,
  },
  { what: 'client/ imports ingest/', file: 'client/x23.ts', code: "import { a } from '../ingest/a.ts'", rule: LAYERS },
  {
    what: 'client/ uses Buffer by way of globalThis',
    file: 'client/x43.ts',
    code: "export const a = globalThis.Buffer.from('')",
    rule: 'eslint(no-restricted-properties)',
  },
  { what: 'store/ imports ingest/', file: 'store/x24.ts', code: "import { a } from '../ingest/a.ts'", rule: LAYERS },
  { what: 'store/ starts a timer of its own', file: 'store/x25.ts', code: 'setTimeout(() => {}, 1)', rule: GLOBALS },
  {
    what: 'an unlisted part imports another',
    file: 'novel/x26.ts',
    code: "import { a } from '../record/a.ts'",
    rule: LAYERS,
  },
  {
    what: 'a part imports the composition root',
    file: 'http/x27.ts',
    code: "import { a } from '../node/node.ts'",
    rule: LAYERS,
  },
  {
    what: 'ingest/ mints verified records',
    file: 'ingest/x28.ts',
    code: "import { mintVerified } from '../record/verify.ts'",
    rule: LAYERS,
  },
  { what: 'the database outside of store/', file: 'http/x29.ts', code: "import { Level } from 'level'", rule: LAYERS },
  { what: 'elliptic', file: 'verify/x30.ts', code: "import elliptic from 'elliptic'", rule: LAYERS },
  { what: 'the index of secp256k1', file: 'verify/x31.ts', code: "import secp from 'secp256k1'", rule: LAYERS },
  {
    what: 'the bindings outside of verify/',
    file: 'ingest/x32.ts',
    code: "import secp from 'secp256k1/bindings.js'",
    rule: LAYERS,
  },
  { what: 'a computed import', file: 'cli/x33.ts', code: 'const n = String(1)\nawait import(n)', rule: LAYERS },
  {
    what: 'process.env outside of config/',
    file: 'http/x34.ts',
    code: "process.env['HOME']",
    rule: 'node(no-process-env)',
  },
  { what: 'node:process', file: 'http/x35.ts', code: "import { env } from 'node:process'", rule: LAYERS },
  { what: 'a default export', file: 'http/x36.ts', code: 'export default 1', rule: 'import(no-default-export)' },
  { what: 'any', file: 'http/x37.ts', code: 'export const a: any = 1', rule: 'typescript(no-explicit-any)' },
  {
    what: '@ts-ignore',
    file: 'http/x38.ts',
    code: '// @ts-ignore\nexport const a = 1',
    rule: 'typescript(ban-ts-comment)',
  },
  {
    what: 'a name that is not kebab-case',
    file: 'http/xFile39.ts',
    code: 'export const a = 1',
    rule: 'unicorn(filename-case)',
  },
  {
    what: 'a cycle',
    file: 'http/x40.ts',
    code: "import { b } from './x41.ts'\nexport const a = b",
    rule: 'import(no-cycle)',
  },
  {
    what: 'the other half of the cycle',
    file: 'http/x41.ts',
    code: "import { a } from './x40.ts'\nexport const b = a",
    rule: 'import(no-cycle)',
  },
  {
    what: 'a cycle of types',
    file: 'http/x43.ts',
    code: "import type { B } from './x44.ts'\nexport type A = { b: B }",
    rule: 'import(no-cycle)',
  },
  {
    what: 'the other half of the cycle of types',
    file: 'http/x44.ts',
    code: "import type { A } from './x43.ts'\nexport type B = { a: A }",
    rule: 'import(no-cycle)',
  },
  {
    what: 'an import from outside src/',
    file: 'http/x42.ts',
    code: "import { a } from '../../test/a.ts'",
    rule: LAYERS,
  },
]

/** Parts that run in browsers as well. */
const BROWSER_PARTS = [
  'client',
  'record',
  'state',
  'negentropy',
  'snapshot',
  'receipt',
  'homes',
  'sync',
  'replica',
  'explorer',
]
const NODE_GLOBALS = ['Buffer', 'process', 'global', '__dirname', '__filename', 'setImmediate', 'require']

/** What browsers have not, in each of them. */
const NODE_BANS: readonly Ban[] = BROWSER_PARTS.flatMap((part) => [
  ...NODE_GLOBALS.map((name) => ({
    what: `${part}/ uses ${name}`,
    file: `${part}/node-${name.replaceAll('_', '').toLowerCase()}.ts`,
    code: `export const a = ${name}`,
    rule: GLOBALS,
  })),
  {
    what: `${part}/ imports node:`,
    file: `${part}/node-import.ts`,
    code: "import { a } from 'node:events'\nexport const b = a",
    rule: 'eslint(no-restricted-imports)',
  },
  {
    what: `${part}/ re-exports node:`,
    file: `${part}/node-export.ts`,
    code: "export { a } from 'node:path/posix'",
    rule: 'eslint(no-restricted-imports)',
  },
])

/** What the same rules must let through. */
const ALLOWED: readonly { file: string; code: string }[] = [
  { file: 'record/y01.ts', code: "import { sha256 } from '@noble/hashes/sha2.js'\nexport const a = sha256" },
  { file: 'state/y02.ts', code: "import type { Avatar } from '../record/types.ts'\nexport type A = Avatar" },
  { file: 'ingest/y03.ts', code: "import type { Store } from '../store/types.ts'\nexport type A = Store" },
  { file: 'http/y04.ts', code: "import type { StoreReader } from '../store/types.ts'\nexport type A = StoreReader" },
  {
    file: 'http/y05.ts',
    code: "import { IngestBusyError } from '../ingest/errors.ts'\nexport const a = IngestBusyError",
  },
  {
    file: 'http/y06.ts',
    code: "import type { Environment } from '../platform/environment.ts'\nexport type A = Environment",
  },
  { file: 'node/y10.ts', code: "import { openStore } from '../store/store.ts'\nexport const a = openStore" },
  { file: 'cli/y07.ts', code: "import { a } from '../node/node.ts'\nexport const b = a" },
  { file: 'client/y09.ts', code: 'export const a = [Date.now(), globalThis.crypto, setTimeout(() => {}, 1), fetch]' },
  {
    file: 'hosting/y11.ts',
    code: 'export const a = (fetch: () => Promise<Response>) => fetch()\nexport type A = typeof fetch',
  },
  { file: 'config/y08.ts', code: "export const a = process.env['HOME']" },
]

describe('the linter fails the build on', () => {
  let folder = ''
  let found = new Map<string, Set<string>>()
  let exitCode: number | null = null

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'avatar-kv-lint-'))
    cpSync(join(ROOT, 'config'), join(folder, 'config'), { recursive: true })
    for (const { file, code } of [...BANS, ...NODE_BANS, ...ALLOWED]) {
      const path = join(folder, 'src', file)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, `${code}\n`)
    }
    const run = lint(folder)
    exitCode = run.status
    found = run.found
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('any of it, with a code other than 0', () => expect(exitCode).toBe(1))

  test.each([...BANS, ...NODE_BANS])('$what', ({ file, rule }) => {
    expect([...(found.get(`src/${file}`) ?? [])]).toContain(rule)
  })

  test.each(ALLOWED)('nothing in $file', ({ file }) => {
    expect([...(found.get(`src/${file}`) ?? [])]).toEqual([])
  })
})

test('npm run lint uses that configuration and refuses warnings', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { lint: string } }
  expect(scripts.lint).toMatch(/^oxlint --config config\/oxlint\.json --deny-warnings/)
})

function lint(folder: string): { status: number | null; found: Map<string, Set<string>> } {
  const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint')
  const args = [oxlint, '--config', 'config/oxlint.json', '--deny-warnings', '--format', 'json', 'src']
  const run = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })
  const { diagnostics } = JSON.parse(run.stdout) as { diagnostics: { code: string; filename: string }[] }
  const found = new Map<string, Set<string>>()
  for (const { code, filename } of diagnostics) {
    const rules = found.get(filename) ?? new Set()
    found.set(filename, rules.add(code))
  }
  return { status: run.status, found }
}
