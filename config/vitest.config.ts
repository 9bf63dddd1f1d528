/**
 * Which tests run, how, and in what order. Scopes:
 *
 * - quick (`npm test`): unit, conformance, properties with few runs, and a smoke of the rest. Under 5 minutes on two cores.
 * - rest (`npm run test:rest`): what quick leaves out.
 * - all (`npm run test:all`, or vitest without a mode): everything, properties with all their runs.
 *
 * Test files named on the command line run in every scope. In CI (`CI=true`) quick gives properties all their runs, so that quick and rest are
 * everything, once.
 */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const ROOT = new URL('..', import.meta.url)

/** Files outside integration/ and browser/ that run the built program. They need dist/; no other unit test may. */
const BUILT = [
  'test/cli/bad-input.test.ts',
  'test/cli/completion.test.ts',
  'test/cli/node.test.ts',
  'test/cli/old-node.test.ts',
  'test/cli/repair.test.ts',
  'test/cli/start.test.ts',
  'test/cli/usage.test.ts',
  'test/deploy/archives.test.ts',
  'test/deploy/image.test.ts',
  'test/deploy/monitoring.test.ts',
  'test/deploy/proxies.test.ts',
  'test/deploy/units.test.ts',
  'test/verify/no-elliptic.test.ts',
  'test/verify/verify-service.test.ts',
]

/**
 * Files of the projects unit, built and property that are left out of the quick scope: those that took longest. Another file of the same folder is quick, and
 * test/store/memory.test.ts is the suite of test/store/disk.test.ts.
 */
const SLOW = [
  'test/cli/start.test.ts',
  'test/client/hostile.test.ts',
  'test/deploy/archives.test.ts',
  'test/deploy/image.test.ts',
  'test/deploy/monitoring.test.ts',
  'test/deploy/proxies.test.ts',
  'test/deploy/units.test.ts',
  'test/house/api-pages.test.ts',
  'test/house/build.test.ts',
  'test/migrate/hostile-source.test.ts',
  'test/migrate/target.test.ts',
  'test/migrate/watch.test.ts',
  'test/network/discovery.test.ts',
  'test/network/eclipse.test.ts',
  'test/network/peer-places.test.ts',
  'test/replica/bounds.test.ts',
  'test/simulation/more-seeds.test.ts',
  'test/simulation/simulation.test.ts',
  'test/store/avatar-weight.test.ts',
  'test/store/damage.property.test.ts',
  'test/store/disk.test.ts',
]

/** The files of integration/ and browser/ in the quick scope: one for each thing that only several processes show. */
const SMOKE = [
  'test/integration/convergence.test.ts',
  'test/integration/restart.test.ts',
  'test/integration/receipts.test.ts',
  'test/integration/snapshot-put-signed.test.ts',
  'test/browser/explorer.test.ts',
]

/** Longest wait for a condition, of `expect.poll` and of `until`: far above what is needed, so that a busy machine fails no test. */
const PATIENCE_MS = 60_000
/** Longest time of a test that names none, and of a hook. It ends a test that hangs; no test measures itself by it. */
const HANGS_AFTER_MS = 600_000

/** The share of their runs that properties get in the quick scope. */
const QUICK_PROPERTY_SHARE = 0.1

for (const path of [...BUILT, ...SLOW, ...SMOKE]) {
  if (!existsSync(new URL(path, ROOT))) {
    throw new Error(`config/vitest.config.ts lists ${path}, which does not exist. Correct the list.`)
  }
}

export default defineConfig(({ mode }) => {
  const filesNamed = process.argv.some((argument) => /^(\.\/)?test\//.test(argument))
  const scope = filesNamed || (mode !== 'quick' && mode !== 'rest') ? 'all' : mode
  const share = scope === 'quick' && !process.env['CI'] ? QUICK_PROPERTY_SHARE : 1

  /** What a project runs in this scope, if it leaves out its `slow` files in the quick one. */
  const leavingOut = (slow: string[], include: string[], exclude: string[] = []) =>
    ({
      all: { include, exclude },
      quick: { include, exclude: [...exclude, ...slow] },
      rest: { include: slow, exclude },
    })[scope]
  const folder = (name: string) => {
    const include = [`test/${name}/**/*.test.ts`]
    const smoke = SMOKE.filter((path) => path.startsWith(`test/${name}/`))
    return {
      all: { include },
      quick: { include: smoke },
      rest: { include, exclude: smoke },
    }[scope]
  }
  const properties = (path: string): boolean => path.endsWith('.property.test.ts')
  const onPostgres = (path: string): boolean => path.startsWith('test/postgres/')
  const slowUnit = SLOW.filter((path) => !BUILT.includes(path) && !properties(path) && !onPostgres(path))

  const conformance = {
    extends: true as const,
    test: { name: 'conformance', include: ['test/conformance/**/*.test.ts'] },
  }
  return {
    root: ROOT.pathname,
    test: {
      testTimeout: HANGS_AFTER_MS,
      hookTimeout: HANGS_AFTER_MS,
      expect: { poll: { timeout: PATIENCE_MS } },
      // Nodes of tests neither meet other nodes of this network nor depend on the free disk of the machine.
      env: { AVATAR_KV_MDNS: 'false', AVATAR_KV_DISK_NEW_AVATARS_PERCENT: '0', AVATAR_KV_DISK_WRITES_PERCENT: '0' },
      reporters: ['default', './test/setup/slowest-reporter.ts'],
      // Vitest leaves one processor free. The quick scope takes it too; tests of the rest measure memory and flood the network.
      maxWorkers: scope === 'quick' ? Math.max(2, availableParallelism() - 1) : Math.max(1, availableParallelism() - 1),
      projects: [
        {
          extends: true,
          test: {
            name: 'unit',
            // What no other project runs, so that no test file is left out.
            ...leavingOut(
              slowUnit,
              ['test/**/*.test.ts'],
              [
                '**/*.property.test.ts',
                'test/conformance/**',
                'test/integration/**',
                'test/browser/**',
                'test/nat/**',
                'test/postgres/**',
                ...BUILT,
              ],
            ),
            env: { PROPERTY_SHARE: String(share) },
          },
        },
        {
          extends: true,
          test: {
            name: 'built',
            ...leavingOut(
              SLOW.filter((path) => BUILT.includes(path)),
              BUILT,
            ),
            globalSetup: './test/setup/build.ts',
          },
        },
        {
          extends: true,
          test: {
            name: 'property',
            ...leavingOut(
              SLOW.filter((path) => properties(path) && !onPostgres(path)),
              ['test/**/*.property.test.ts'],
              ['test/postgres/**'],
            ),
            env: { PROPERTY_SHARE: String(share) },
          },
        },
        {
          extends: true,
          test: {
            // The store on PostgreSQL: one server for all files.
            name: 'postgres',
            ...leavingOut(SLOW.filter(onPostgres), ['test/postgres/**/*.test.ts']),
            env: { PROPERTY_SHARE: String(share) },
            globalSetup: './test/setup/postgres.ts',
          },
        },
        ...(scope === 'rest' ? [] : [conformance]),
        {
          extends: true,
          test: {
            name: 'integration',
            ...folder('integration'),
            globalSetup: './test/setup/build.ts',
            // Each test starts several node processes: few files at a time, after the others.
            maxWorkers: 2,
            sequence: { groupOrder: 1 },
          },
        },
        {
          extends: true,
          test: {
            // Network namespaces, which need root. None of it is quick.
            name: 'nat',
            ...leavingOut(['test/nat/**/*.test.ts'], ['test/nat/**/*.test.ts']),
            globalSetup: './test/setup/build.ts',
            fileParallelism: false,
            sequence: { groupOrder: 3 },
          },
        },
        {
          extends: true,
          test: {
            name: 'browser',
            ...folder('browser'),
            globalSetup: './test/setup/build.ts',
            // A Chromium and several nodes each.
            fileParallelism: false,
            sequence: { groupOrder: 2 },
          },
        },
      ],
    },
  }
})
