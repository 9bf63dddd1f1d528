import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import { PATIENCE_MS } from '../support/until.ts'

const MAIN = join(process.cwd(), 'dist/main.js')
const LOG_LINES_KEPT = 6000
const run = promisify(execFile)

let labs = 0

/** A machine of the lab: a network namespace of its own. */
export interface Machine {
  readonly name: string
  /** Runs a command on it; resolves to its output. */
  exec(command: string, ...args: readonly string[]): Promise<string>
  /** Starts a program on it that runs until the lab closes. */
  daemon(command: string, ...args: readonly string[]): void
  /** A path for a file of this machine. */
  path(name: string): string
  /** Starts a node on it with the default addresses, and the given arguments. Resolves once the node has started. */
  startNode(...args: readonly string[]): Promise<LabNode>
}

export interface LabNode {
  readonly peerId: string
  /** The answer of a command of the built program, as JSON. */
  cli<T>(...args: readonly string[]): Promise<T>
  /** Runs a command of the built program beside the node. */
  run(...args: readonly string[]): Promise<string>
  /** A path for a file of this machine. */
  path(name: string): string
  /** The last lines of its log. */
  log(): string
  stop(): Promise<void>
}

export interface Lab {
  machine(name: string): Promise<Machine>
  /** A switch, on a machine of its own: connects interfaces of machines. */
  link(
    name: string,
    ports: readonly { readonly machine: Machine; readonly device: string; readonly address: string }[],
  ): Promise<void>
  close(): Promise<void>
}

/**
 * A laboratory of network namespaces, which no packet leaves. Needs root.
 *
 * @throws Error that says what is missing, where this machine forbids namespaces
 */
export async function createLab(): Promise<Lab> {
  const prefix = `akv${process.pid}x${labs}`
  labs += 1
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-lab-'))
  const names: string[] = []
  const children = new Set<ChildProcess>()

  async function machine(name: string): Promise<Machine> {
    const space = `${prefix}-${name}`
    await ip('netns', 'add', space)
    names.push(space)
    const exec = async (command: string, ...args: readonly string[]): Promise<string> =>
      (await run('ip', ['netns', 'exec', space, command, ...args])).stdout
    await exec('ip', 'link', 'set', 'lo', 'up')
    return {
      name,
      exec,
      daemon(command, ...args) {
        const child = spawn('ip', ['netns', 'exec', space, command, ...args], { stdio: 'ignore' })
        child.on('error', () => undefined)
        children.add(child)
      },
      path: (file) => join(folder, `${name}-${file}`),
      startNode: (...args) => startNode(space, join(folder, name), args),
    }
  }

  async function startNode(space: string, dataDir: string, args: readonly string[]): Promise<LabNode> {
    // Tests elsewhere have mDNS off (config/vitest.config.ts).
    const inside = ['netns', 'exec', space, 'env', '-u', 'AVATAR_KV_MDNS', process.execPath, MAIN]
    const command = async (...words: readonly string[]): Promise<string> =>
      (await run('ip', [...inside, ...words], { timeout: PATIENCE_MS })).stdout
    const child = spawn('ip', [...inside, 'start', '--data-dir', dataDir, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.add(child)
    const lines: string[] = []
    const peerId = await new Promise<string>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`A node of the lab ended with ${code}:\n${lines.join('\n')}`)))
      createInterface(child.stdout).on('line', (line) => {
        if (lines.push(line) > LOG_LINES_KEPT) lines.shift()
        const { msg, peer_id: id } = JSON.parse(line) as { msg?: string; peer_id?: string }
        if (msg === 'started' && id !== undefined) resolve(id)
      })
    })
    return {
      peerId,
      cli: async (...words) => JSON.parse(await command(...words, '--json')),
      run: command,
      path: (name) => `${dataDir}-${name}`,
      log: () => lines.join('\n'),
      async stop() {
        children.delete(child)
        if (child.exitCode !== null) return
        child.kill('SIGTERM')
        await once(child, 'exit')
      },
    }
  }

  return {
    machine,
    async link(name, ports) {
      const bridge = await machine(name)
      await bridge.exec('ip', 'link', 'add', 'br0', 'type', 'bridge')
      await bridge.exec('ip', 'link', 'set', 'br0', 'up')
      for (const [at, { machine: other, device, address }] of ports.entries()) {
        const port = `p${at}`
        const [here, there] = [`${prefix}-${name}`, `${prefix}-${other.name}`]
        await ip('link', 'add', port, 'netns', here, 'type', 'veth', 'peer', 'name', device, 'netns', there)
        await bridge.exec('ip', 'link', 'set', port, 'master', 'br0', 'up')
        await other.exec('ip', 'address', 'add', address, 'dev', device)
        await other.exec('ip', 'link', 'set', device, 'up')
      }
    },
    async close() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      for (const name of names) await run('ip', ['netns', 'delete', name]).catch(() => undefined)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  try {
    await run('ip', [...args])
  } catch (error) {
    const why = String((error as { stderr?: string }).stderr ?? error).trim()
    throw new Error(
      `This test needs network namespaces, and "ip ${args.join(' ')}" failed: ${why}. Run it as root on Linux, with iproute2 and nftables installed.`,
      { cause: error },
    )
  }
}
