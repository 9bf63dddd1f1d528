import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { expect, it } from 'vitest'

/** What an app loads before it asks for anything: the client, minified and gzipped. */
const MOST_BYTES = 40_000
/** With what is loaded only by `hosts()`. */
const MOST_BYTES_IN_ALL = 48_000
const NODE_ONLY = /["'`]node:|\bBuffer\.|\bprocess\.(env|versions)|\brequire\(|__vite-browser-external/

/** Bundles as an app does: what is loaded at once, and what is loaded later. */
async function bundle(code: string): Promise<{ first: string; later: string }> {
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
  const chunks = outputs.flatMap(({ output }) => output).filter((file) => file.type === 'chunk')
  const [main] = chunks.filter(({ isEntry }) => isEntry)
  const first = new Set(main === undefined ? [] : [main.fileName])
  // A set goes on with what is added while it is gone through.
  for (const name of first)
    for (const each of chunks.find(({ fileName }) => fileName === name)?.imports ?? []) first.add(each)
  const textOf = (wanted: boolean): string =>
    chunks.flatMap((each) => (first.has(each.fileName) === wanted ? [each.code] : [])).join('\n')
  return { first: textOf(true), later: textOf(false) }
}

const size = (code: string): number => gzipSync(code, { level: 9 }).length
const client = JSON.stringify(`${process.cwd()}/src/client/index.ts`)

it('is small, and has nothing of Node in it', async () => {
  const { first, later } = await bundle(`export * from ${client}`)
  console.log(`the client: ${first.length} bytes minified, ${size(first)} with gzip; for hosts() ${size(later)} more`)
  expect(first).toContain('personal_sign')
  expect(first).toContain('text/event-stream')
  expect(later).toContain('avatar-kv-receipt/2')
  expect(first.match(NODE_ONLY) ?? later.match(NODE_ONLY)).toBeNull()
  expect(size(first)).toBeLessThan(MOST_BYTES)
  expect(size(first) + size(later)).toBeLessThan(MOST_BYTES_IN_ALL)
})

it('leaves out what is not used', async () => {
  const all = await bundle(`export * from ${client}`)
  const some = await bundle(`export { avatarOf } from ${client}`)
  expect(some.first).not.toContain('personal_sign')
  expect(some.first).not.toContain('text/event-stream')
  expect(size(some.first)).toBeLessThan(size(all.first) / 2)
})
