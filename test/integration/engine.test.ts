import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

const PROBE = `
const { createRequire } = await import('node:module')
const { selectEngine } = await import('./dist/verify/select-engine.js')
await import('./dist/node/node.js')
const engine = await selectEngine()
const loaded = Object.keys(createRequire(process.cwd() + '/').cache)
console.log(JSON.stringify({
  engine: engine.name,
  bindings: loaded.some((path) => path.includes('/node_modules/secp256k1/bindings.js')),
  elliptic: loaded.filter((path) => /elliptic/.test(path)),
}))
`

test('a node loads no elliptic, whatever it verifies with', () => {
  const text = execFileSync(process.execPath, ['--input-type=module', '-e', PROBE], { encoding: 'utf8' })
  const found = JSON.parse(text) as { engine: string; bindings: boolean; elliptic: string[] }
  expect(found.elliptic).toEqual([])
  // Shows that the probe sees what is loaded.
  expect(found.bindings).toBe(found.engine === 'libsecp256k1')
})
