import { defineConfig } from 'vitest/config'

const UNIT_AREAS = 'record,verify,state,store,ingest,sync,network,http,cli,config,observe,house'

/** `npm test` runs all projects; `npm test -- --project unit` runs one, `npm test -- test/record` one folder. */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    reporters: ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [`test/{${UNIT_AREAS}}/**/*.test.ts`, 'test/*.test.ts'],
          exclude: ['**/*.property.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: { name: 'property', include: ['test/**/*.property.test.ts'], testTimeout: 120_000 },
      },
      {
        extends: true,
        test: { name: 'conformance', include: ['test/conformance/**/*.test.ts'], testTimeout: 120_000 },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: './test/setup/build.ts',
          testTimeout: 120_000,
          hookTimeout: 30_000,
          // Each test starts several node processes and some measure latency: one file at a time, after the others.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
