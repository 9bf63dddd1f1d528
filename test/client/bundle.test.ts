import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { expect, it } from 'vitest'
import { privateKeySigner as outside } from '../../src/client/signers.ts'
import { passesSelfTest } from '../../src/record/self-test.ts'
import { readPage } from '../docs/blocks.ts'

/** The whole client, minified and gzipped, checks of receipts included; reads of linked keys are 1,900 of it. What makes links is apart. */
const MOST_BYTES = 45_500
/** The WASM of libsecp256k1 and of keccak-256 as base64, and what calls it. */
const MOST_WASM_BYTES = 136_000
const NODE_ONLY = /["'`]node:|\bBuffer\.|\bprocess\.(env|versions)|\brequire\(|__vite-browser-external/

/** Bundles as an app does. The answer is one file, so nothing is loaded later, by way of a file that may be gone by then. */
async function bundle(code: string): Promise<string> {
  const entry = '\0entry'
  const result = await build({
    configFile: false,
    logLevel: 'error',
    root: process.cwd(),
    plugins: [
      {
        name: 'entry',
        enforce: 'pre',
        resolveId: (id) => (id === 'entry' ? entry : undefined),
        load: (id) => (id === entry ? code : undefined),
      },
    ],
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      modulePreload: false,
      rolldownOptions: { input: 'entry', preserveEntrySignatures: 'strict' },
    },
  })
  const outputs = Array.isArray(result) ? result : 'output' in result ? [result] : []
  const files = outputs.flatMap(({ output }) => output)
  expect(files).toHaveLength(1)
  return files.map((file) => (file.type === 'chunk' ? file.code : '')).join('')
}

const size = (code: string): number => gzipSync(code, { level: 9 }).length
const client = JSON.stringify(`${process.cwd()}/src/client/index.ts`)

it('is small, and has nothing of Node in it', async () => {
  const all = await bundle(`export * from ${client}`)
  console.log(`the client: ${all.length} bytes minified, ${size(all)} with gzip`)
  for (const part of ['personal_sign', 'text/event-stream', 'avatar-kv-receipt/2']) expect(all).toContain(part)
  expect(all.match(NODE_ONLY)).toBeNull()
  expect(size(all)).toBeLessThan(MOST_BYTES)
  // The size that the page names is that of now, give or take 2 KB.
  const [, inPage] = /an ES module of (\d+) KB/.exec(readPage('docs/client.md')) ?? []
  expect(Math.abs(Number(inPage) - size(all) / 1_000)).toBeLessThan(2)
})

it('has the WASM engine in an entry of its own, of one file that fetches nothing', async () => {
  const wasm = await bundle(`export * from ${JSON.stringify(`${process.cwd()}/src/client/wasm.ts`)}`)
  console.log(`the WASM engine: ${wasm.length} bytes minified, ${size(wasm)} with gzip`)
  expect(wasm.match(NODE_ONLY)).toBeNull()
  expect(size(wasm)).toBeLessThan(MOST_WASM_BYTES)
  const { loadWasmEngine } = (await import(
    `data:text/javascript,${encodeURIComponent(wasm)}`
  )) as typeof import('../../src/client/wasm.ts')
  expect(passesSelfTest(await loadWasmEngine())).toBe(true)
})

it('leaves out what is not used', async () => {
  const all = await bundle(`export * from ${client}`)
  const some = await bundle(`export { avatarOf } from ${client}`)
  for (const part of ['personal_sign', 'text/event-stream', 'avatar-kv-receipt/2']) expect(some).not.toContain(part)
  expect(size(some)).toBeLessThan(size(all) / 2)
})

it('signs in a bundle as it does outside of one', async () => {
  const code = await bundle(`export { privateKeySigner } from ${client}`)
  const { privateKeySigner } = (await import(
    `data:text/javascript,${encodeURIComponent(code)}`
  )) as typeof import('../../src/client/index.ts')
  const signer = privateKeySigner('11'.repeat(32))
  expect(await signer.sign('text')).toEqual(await outside('11'.repeat(32)).sign('text'))
})
