import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * What this node is compared with. None is a dependency of the project; all of them run without their install scripts, and the
 * native parts ship as binaries. `@atproto/repo` 0.9 is the last that runs on Node.js 20.
 */
export const PEER_VERSIONS = {
  corestore: '7.12.5',
  hypercore: '11.39.5',
  hyperbee: '2.27.3',
  gun: '0.2020.1241',
  '@atproto/repo': '0.9.1',
  '@atproto/crypto': '0.4.5',
} as const

const NPM_ARGUMENTS = [
  'install',
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
  '--fetch-retries=1',
  '--fetch-retry-mintimeout=1000',
]
/** Some 130 packages, 230 MB with the binaries for every system. */
const INSTALL_TIMEOUT_MS = 600_000
/** Lines of npm's errors that are shown. */
const SHOWN_LINES = 5

/** The peers cannot be installed. The message says what to do. */
export class PeersError extends Error {
  override readonly name = 'PeersError'
}

/** Installs the peers into `folder`, unless these versions are there already. @throws PeersError */
export async function installPeers(folder: string): Promise<void> {
  const missing = Object.entries(PEER_VERSIONS).filter(([name, version]) => installedVersion(folder, name) !== version)
  if (missing.length === 0) return
  mkdirSync(folder, { recursive: true })
  const manifest = { name: 'avatar-kv-bench-peers', private: true, dependencies: PEER_VERSIONS }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, undefined, 2))
  const what = missing.map(([name, version]) => `${name} ${version}`).join(', ')
  console.error(`Installing ${what} into ${folder}, once.`)
  try {
    await promisify(execFile)('npm', NPM_ARGUMENTS, { cwd: folder, timeout: INSTALL_TIMEOUT_MS })
  } catch (error) {
    throw new PeersError(
      `Cannot install the systems to compare with (${what}) into ${folder}:\n${reasonOf(error)}\n` +
        'Check that this machine reaches the npm registry (npm ping), and run the bench again. ' +
        'Without a network, copy that folder from a machine where the bench has run.',
      { cause: error },
    )
  }
}

/** Loads a peer, which is CommonJS and has no types here. `Exports` says what of it is used. */
export function requirePeer<Exports>(folder: string, name: string): Exports {
  return createRequire(join(folder, 'package.json'))(name) as Exports
}

function installedVersion(folder: string, name: string): string | undefined {
  try {
    const text = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')
    return (JSON.parse(text) as { version?: string }).version
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  return (said === '' ? String(error) : said).split('\n').slice(0, SHOWN_LINES).join('\n')
}
