import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
  readonly scripts: Readonly<Record<string, string>>
}
const { scripts, exports: compatible } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
const { name: client, exports } = JSON.parse(readFileSync(join(ROOT, 'config/client/package.json'), 'utf8')) as Manifest
const { entryPoints } = JSON.parse(readFileSync(join(ROOT, 'config/typedoc.json'), 'utf8')) as { entryPoints: string[] }

/** Every page below a folder, by its path in it. */
function pagesIn(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
  return new Map(names.toSorted().map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

test('the pages in docs/api are those of the sources: npm run docs', { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'avatar-kv-api-'))
  try {
    const typedoc = join(ROOT, 'node_modules/typedoc/bin/typedoc')
    const args = [typedoc, '--options', 'config/typedoc.json', '--out', folder]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
    // What is not documented, or links to nothing, is an error.
    expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' })
    expect(Object.fromEntries(pagesIn(join(ROOT, 'docs/api')))).toEqual(Object.fromEntries(pagesIn(folder)))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('everything that the package for apps exports has a page', () => {
  const sources = Object.values(exports).flatMap((to) =>
    typeof to === 'string' ? [] : to.default.replace('./dist/', '../src/').replace(/\.js$/, '.ts'),
  )
  expect(sources.length).toBeGreaterThan(1)
  const ways = (of: Manifest['exports']) => Object.values(of).filter((to) => typeof to !== 'string')
  // The node's package has what it had before the client had a package of its own, and need not have more.
  expect(ways(exports)).toEqual(expect.arrayContaining(ways(compatible)))
  expect(entryPoints.toSorted()).toEqual(sources.toSorted())
  expect(scripts['docs']).toBe('typedoc --options config/typedoc.json')
  const pages = pagesIn(join(ROOT, 'docs/api'))
  for (const [name, to] of Object.entries(exports)) {
    if (typeof to !== 'string') expect([...pages.keys()]).toContain(`${name.replace('.', client)}.md`)
  }
  for (const page of pages.values()) expect(page).not.toContain(ROOT.replace(/\/$/, ''))
})
