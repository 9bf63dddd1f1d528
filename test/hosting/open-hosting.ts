import { pino } from 'pino'
import type { Environment } from '../../src/platform/environment.ts'
import { createHosting, type HostingOptions } from '../../src/hosting/hosting.ts'
import { type HeldAvatars } from '../../src/hosting/types.ts'
import { openJournal, type Journal } from '../../src/hosting/journal.ts'
import { Register } from '../../src/hosting/register.ts'
import { createOwnerRequests } from '../../src/hosting/requests.ts'
import type { Puller } from '../../src/hosting/puller.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import type { SignatureEngine } from '../../src/record/engine.ts'
import { systemEnvironment } from '../../src/platform/system.ts'

const NOTHING_HELD: HeldAvatars = {
  avatars: () => Promise.resolve([]),
  isHeld: () => Promise.resolve(false),
  homes: () => Promise.resolve([]),
  links: () => Promise.resolve([]),
  forget: () => Promise.resolve(),
}

export interface HostingForTestOptions extends Partial<HostingOptions> {
  readonly held?: Partial<HeldAvatars>
  readonly environment?: Environment
  /** The file of the journal; default: in memory. */
  readonly path?: string
}

/** Real hosting, over what it is told that is held. */
export async function openHostingForTest(options: HostingForTestOptions = {}) {
  const { mode = 'all', policy = 'closed', links = 16, held = {}, environment = systemEnvironment(), path } = options
  const register = new Register()
  const journal = path === undefined ? memoryJournal() : await openJournal(path, (change) => register.apply(change))
  const lines: Record<string, unknown>[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const parts = { held: { ...NOTHING_HELD, ...held }, journal, register, environment, logger, metrics: createMetrics() }
  return Object.assign(createHosting(parts, { mode, policy, links }), { lines, journal })
}

/** A journal in memory only. */
function memoryJournal(): Journal {
  let lines = 0
  return {
    get lines() {
      return lines
    },
    append() {
      lines += 1
      return Promise.resolve()
    },
    rewrite() {
      lines = 0
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
}

export const NO_PULLS: Pick<Puller, 'check' | 'pull' | 'report'> = {
  check: () => undefined,
  pull: () => Promise.resolve(),
  report: () => undefined,
}

export function openOwnerRequests(
  hosting: Awaited<ReturnType<typeof openHostingForTest>>,
  engine: SignatureEngine,
  peerId: string,
  options: { readonly puller?: typeof NO_PULLS; readonly environment?: Environment } = {},
) {
  const { puller = NO_PULLS, environment = systemEnvironment() } = options
  return createOwnerRequests({ hosting, puller, engine, clock: environment.clock }, { network: 'main', peerId })
}
