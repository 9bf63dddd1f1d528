import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { build } from 'vite'
import type * as Api from '../../src/replica/browser.ts'

declare global {
  /** Of the pages below. */
  interface Window {
    api: typeof Api
    replica: Api.Replica
    /** Set by a test: the person whom a wallet asks has answered. */
    isAnswered?: boolean
  }
}

/** The replica as a bundler for browsers makes it. */
export async function bundleReplica(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    root: process.cwd(),
    build: {
      write: false,
      minify: true,
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: { input: `${process.cwd()}/src/replica/browser.ts`, preserveEntrySignatures: 'strict' },
    },
  })
  const outputs = Array.isArray(result) ? result : 'output' in result ? [result] : []
  const chunks = outputs.flatMap(({ output }) => output).filter((file) => file.type === 'chunk')
  const [code, ...others] = chunks.map((chunk) => chunk.code)
  if (code === undefined || others.length > 0) throw new Error('The replica is not one piece.')
  return code
}

/** A server of an empty page that has the replica in `api`. */
export async function servePage(): Promise<{ url: string; close: () => Promise<void> }> {
  const code = await bundleReplica()
  const page = `<!doctype html><title>app</title><link rel="icon" href="data:,"><script type="module">
    import * as api from './replica.js'
    window.api = api
  </script>`
  const server = createServer((request, response) => {
    const isCode = request.url === '/replica.js'
    response.writeHead(200, { 'content-type': isCode ? 'text/javascript' : 'text/html' }).end(isCode ? code : page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
