import type { TestProject } from 'vitest/node'
import { makeCluster } from '../support/postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The address of a database `postgres`; the name is to be replaced. */
    postgresUrl: string
  }
}

/** Starts one PostgreSQL server for all test files of the project. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await makeCluster({ durable: false })
  await cluster.start()
  project.provide('postgresUrl', cluster.url('postgres'))
  return () => cluster.remove()
}
