import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { call } from './call.ts'
import { deployFile, deployPath, needTool, replaced, runTool } from './tools.ts'

/** A reverse proxy of docs/deploy in front of an HTTP server. */
export interface Proxy {
  readonly url: string
  /** Where other nodes reach it by WebSockets, without a peer id. */
  readonly peers: string
  /** The file of its certificate, if it has one. */
  readonly certificate: string | undefined
  readonly pid: number
  close(): Promise<void>
}

/**
 * @param upstream HOST:PORT of the node
 * @param peers HOST:PORT of its WebSocket address
 */
export type StartProxy = (upstream: string, peers?: string) => Promise<Proxy>

const NO_PEERS = '127.0.0.1:9'

export const PROXIES: readonly { readonly name: string; readonly start: StartProxy }[] = [
  { name: 'Caddyfile', start: startCaddy },
  { name: 'nginx.conf', start: startNginx },
]

/** The file as it is; only variables give the addresses. */
async function startCaddy(upstream: string, peers = NO_PEERS): Promise<Proxy> {
  needTool('caddy')
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-caddy-'))
  const port = await freePort()
  const env = {
    ...process.env,
    HOME: folder,
    XDG_DATA_HOME: folder,
    XDG_CONFIG_HOME: folder,
    CADDY_ADMIN: `127.0.0.1:${await freePort()}`,
    KV_SITE: `http://:${port}`,
    KV_UPSTREAM: upstream,
    KV_PEERS: peers,
  }
  const args = ['run', '--adapter', 'caddyfile', '--config', deployPath('Caddyfile')]
  return await running(
    spawn('caddy', args, { env, stdio: ['ignore', 'ignore', 'pipe'] }),
    { url: `http://127.0.0.1:${port}`, peers: `/ip4/127.0.0.1/tcp/${port}/ws`, certificate: undefined },
    folder,
  )
}

/** The file with the ports, the certificate and the node of the test, in the smallest nginx.conf that has worker_connections as the file asks. */
async function startNginx(upstream: string, peers = NO_PEERS): Promise<Proxy> {
  needTool('nginx')
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-nginx-'))
  // The workers of nginx give up root.
  await chmod(folder, 0o755)
  const [http, https] = [await freePort(), await freePort()]
  const certificate = ['-keyout', `${folder}/key.pem`, '-out', `${folder}/cert.pem`, '-subj', '/CN=kv.example.org']
  const made = runTool('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...certificate])
  if (made.code !== 0) throw new Error(`openssl made no certificate:\n${made.err}`)
  const site = replaced(deployFile('nginx.conf'), [
    ['server 127.0.0.1:4381;', `server ${upstream};`],
    ['server 127.0.0.1:4383;', `server ${peers};`],
    ['listen 80;', `listen 127.0.0.1:${http};`],
    ['listen [::]:80;', ''],
    ['listen 443 ssl http2;', `listen 127.0.0.1:${https} ssl http2;`],
    ['listen [::]:443 ssl http2;', ''],
    ['/etc/letsencrypt/live/kv.example.org/fullchain.pem', `${folder}/cert.pem`],
    ['/etc/letsencrypt/live/kv.example.org/privkey.pem', `${folder}/key.pem`],
  ])
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (each) => `${each}_temp_path ${folder}/${each};`,
  )
  const config = `
    daemon off;
    worker_processes 1;
    worker_rlimit_nofile 16384;
    pid ${folder}/nginx.pid;
    error_log ${folder}/error.log;
    events { worker_connections 8192; }
    http { access_log off; ${paths.join(' ')}
      ${site}
    }`
  await writeFile(join(folder, 'nginx.conf'), config)
  const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')]
  return await running(
    spawn('nginx', args, { stdio: ['ignore', 'ignore', 'pipe'] }),
    {
      url: `https://127.0.0.1:${https}`,
      peers: `/ip4/127.0.0.1/tcp/${https}/tls/sni/kv.example.org/ws`,
      certificate: `${folder}/cert.pem`,
    },
    folder,
  )
}

async function running(
  child: ChildProcess,
  place: Pick<Proxy, 'url' | 'peers' | 'certificate'>,
  folder: string,
): Promise<Proxy> {
  let said = ''
  child.stderr?.on('data', (piece) => (said = (said + String(piece)).slice(-10_000)))
  const close = async () => {
    const ended = child.exitCode === null ? once(child, 'exit') : undefined
    child.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  await until(async () => {
    if (child.exitCode !== null) {
      throw new Error(
        `${child.spawnfile} ended with ${child.exitCode}:\n${said}${await readFile(join(folder, 'error.log'), 'utf8').catch(() => '')}`,
      )
    }
    // Any answer: it may stand before a server that the test has not started yet.
    return (await call(`${place.url}/metrics`)).status > 0
  }, `${child.spawnfile} answers`).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return { ...place, pid: child.pid ?? -1, close }
}
