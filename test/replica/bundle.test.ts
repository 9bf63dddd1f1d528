import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { expect, it } from 'vitest'
import { bundleReplica } from '../browser/replica-page.ts'
import { readPage } from '../docs/blocks.ts'

/** What an app loads for the replica, the client's parts that it is built on included; reads of linked keys are 1,100 of it. */
const MOST_BYTES = 52_500
const NODE_ONLY = /["'`]node:|\bBuffer\.|\bprocess\.(env|versions)|\brequire\(|__vite-browser-external/

it('is small in a browser, and has nothing of Node in it, nor another database', async () => {
  const code = await bundleReplica()
  const bytes = gzipSync(code, { level: 9 }).length
  console.log(`the replica: ${code.length} bytes minified, ${bytes} with gzip`)
  expect(code).toContain('durability')
  expect(code).toContain('BroadcastChannel')
  expect(code.match(NODE_ONLY)).toBeNull()
  expect(code).not.toMatch(/classic-level|abstract-level/i)
  expect(bytes).toBeLessThan(MOST_BYTES)
  // The size that the page names is that of now, give or take 2 KB.
  const [, inPage] = /it takes (\d+) KB/.exec(readPage('docs/replica.md')) ?? []
  expect(Math.abs(Number(inPage) - bytes / 1_000)).toBeLessThan(2)
})

const run = promisify(execFile)

it.each(['src/replica/index.ts', 'src/client/index.ts', 'src/negentropy/negentropy.ts'])(
  'a bundled server imports %s where no native code can be found',
  async (entry) => {
    const directory = await mkdtemp(join(tmpdir(), 'avatar-kv-bundle-'))
    try {
      await build({
        configFile: false,
        logLevel: 'error',
        root: process.cwd(),
        ssr: { noExternal: true },
        build: { ssr: entry, outDir: directory, rolldownOptions: { output: { entryFileNames: 'server.mjs' } } },
      })
      const code = `console.log(Object.keys(await import(${JSON.stringify(join(directory, 'server.mjs'))})).length > 0)`
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: directory })
      expect(stdout).toBe('true\n')
    } finally {
      await rm(directory, { recursive: true })
    }
  },
)
