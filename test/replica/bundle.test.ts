import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { bundleReplica } from '../browser/replica-page.ts'

/** What an app loads for the replica, the client's parts that it is built on included. */
const MOST_BYTES = 48_000
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
})
