import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const DIST = new URL('../../dist/', import.meta.url)

/** Loads every engine and verifies with it in a process of its own; prints what that process has loaded. */
const SCRIPT = `
  import { createRequire } from 'node:module'
  const { cache } = createRequire(import.meta.url)
  const { selectEngine } = await import('./verify/select-engine.js')
  const names = []
  for (const name of ['libsecp256k1', 'libsecp256k1-wasm', 'noble']) names.push((await selectEngine(name)).name)
  console.log(JSON.stringify({ names, files: Object.keys(cache) }))
`

function loadedFiles(script: string): { names: string[]; files: string[] } {
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(DIST),
    encoding: 'utf8',
  })
  return JSON.parse(output) as { names: string[]; files: string[] }
}

test('elliptic, which accepts high s, is never loaded', () => {
  const { names, files } = loadedFiles(SCRIPT)
  expect(names).toEqual(['libsecp256k1', 'libsecp256k1-wasm', 'noble'])
  expect(files.some((file) => file.endsWith('.node'))).toBe(true)
  expect(files.filter((file) => /elliptic|secp256k1[/\\]index\.js/.test(file))).toEqual([])
})

test('and would be seen if it were', () => {
  const { files } = loadedFiles(`import 'secp256k1/elliptic.js'; const names = [];
    import { createRequire } from 'node:module'; const { cache } = createRequire(import.meta.url)
    console.log(JSON.stringify({ names, files: Object.keys(cache) }))`)
  expect(files.filter((file) => file.includes('elliptic')).length).toBeGreaterThan(1)
})
