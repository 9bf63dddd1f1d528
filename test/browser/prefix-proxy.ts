import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'

/** A reverse proxy that serves a node under a path, `/kv/` for one, and takes the path off before the node sees it. */
export interface PrefixProxy {
  /** With the path, without a slash at its end: `http://127.0.0.1:40123/kv`. */
  readonly url: string
  close(): Promise<void>
}

export type StartProxy = (target: string, prefix: string) => Promise<PrefixProxy>

/** The proxies to test with: one in this process always, and nginx where it is installed. */
export const PROXIES: readonly { readonly name: string; readonly start: StartProxy }[] = [
  { name: 'a proxy of Node', start: startNodeProxy },
  ...(spawnSync('nginx', ['-v']).error === undefined ? [{ name: 'nginx', start: startNginx }] : []),
]

async function startNodeProxy(target: string, prefix: string): Promise<PrefixProxy> {
  const server = createServer((incoming, outgoing) => {
    const url = incoming.url ?? '/'
    if (!url.startsWith(`${prefix}/`)) {
      if (url === prefix) outgoing.writeHead(301, { location: `${prefix}/` }).end()
      else outgoing.writeHead(404).end('Not here.')
      return
    }
    const { method, headers } = incoming
    const onward = request(target + url.slice(prefix.length), { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** The configuration that an operator writes: one `location` with `proxy_pass`. */
async function startNginx(target: string, prefix: string): Promise<PrefixProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-nginx-'))
  // Its workers give up root, and put long answers into files.
  await chmod(folder, 0o755)
  const port = await freePort()
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((each) => `${each}_temp_path ${folder}/${each};`)
    .join('\n')
  const config = `
    daemon off;
    worker_processes 1;
    pid ${folder}/nginx.pid;
    error_log ${folder}/error.log;
    events { worker_connections 256; }
    http {
      access_log off;
      ${paths}
      server {
        listen 127.0.0.1:${port};
        absolute_redirect off;
        location ${prefix}/ { proxy_pass ${target}/; }
      }
    }`
  await writeFile(join(folder, 'nginx.conf'), config)
  const child = spawn('nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')], {
    stdio: 'ignore',
  })
  const url = `http://127.0.0.1:${port}${prefix}`
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}; see ${folder}/error.log`)
    const answer = await fetch(`${url}/healthz`).catch(() => undefined)
    return answer?.ok === true
  }, 'nginx answers')
  return {
    url,
    async close() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
