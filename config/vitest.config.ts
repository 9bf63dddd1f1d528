import { defineConfig } from 'vitest/config'

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
          // Whatever is no other project's, so that no test file is left out.
          include: ['test/**/*.test.ts'],
          exclude: ['**/*.property.test.ts', 'test/conformance/**', 'test/integration/**', 'test/browser/**'],
          testTimeout: 60_000,
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
          // Each test starts several node processes: few files at a time, after the others.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          globalSetup: './test/setup/build.ts',
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // A Chromium and several nodes each.
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
