import pg from 'pg'
import { inject } from 'vitest'
import { openPostgresStore } from '../../src/store/postgres/store.ts'
import { silentComponents, type OpenOptions, type OpenStore, type StoreHarness } from '../store/harness.ts'

const NETWORK = 'main'
/** Tables that `dump` leaves out: what they hold depends on time. */
const UNDUMPED = ['migrations', 'migrations_lock', 'quarantine']

let made = 0

/** Runs a statement on the test server. */
export async function run(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

let database: Promise<string> | undefined

/** The address of this test file's own database. */
async function databaseUrl(): Promise<string> {
  const server = inject('postgresUrl')
  database ??= (async () => {
    const name = `test_${process.pid}_${Date.now()}`
    await run(server, `CREATE DATABASE ${name}`)
    return server.replace('/postgres?', `/${name}?`)
  })()
  return database
}

/** The address of a schema of its own within this file's database: it is made faster than a database. */
export async function emptyUrl(): Promise<string> {
  const url = await databaseUrl()
  made += 1
  const schema = `s${made}`
  await run(url, `CREATE SCHEMA ${schema}`)
  return `${url}&options=${encodeURIComponent(`-c search_path=${schema}`)}`
}

/** A store on PostgreSQL. */
export async function postgresHarness(): Promise<StoreHarness & { readonly url: string }> {
  const url = await emptyUrl()
  let store: OpenStore | undefined
  const close = async (): Promise<void> => {
    await store?.close()
    store = undefined
  }
  return {
    url,
    readsPayloadsForEvents: false,
    open: async (options: OpenOptions = {}) => {
      await close()
      store = await openPostgresStore(silentComponents, { network: NETWORK, url, ...options })
      return store
    },
    async setLayout(layout) {
      await close()
      if (layout === 'newer') await run(url, `INSERT INTO migrations (name, timestamp) VALUES ('9999-of-later', '')`)
      else await run(url, `DELETE FROM migrations WHERE name = '9999-of-later'`)
    },
    tamper: () => Promise.reject(new Error('The rows of this store are not those of LevelDB.')),
    async dump() {
      await close()
      const rows: [string, string][] = []
      const tables = await run(
        url,
        `SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1`,
      )
      for (const { name } of tables) {
        if (UNDUMPED.includes(String(name))) continue
        const found = await run(url, `SELECT to_jsonb(t)::text AS row FROM ${String(name)} t ORDER BY 1`)
        for (const { row } of found) rows.push([String(name), String(row)])
      }
      return rows
    },
    corruptions: () => Promise.resolve(0),
    async remove() {
      await close()
      await run(url, 'DROP SCHEMA IF EXISTS ' + url.slice(url.lastIndexOf('%3D') + 3) + ' CASCADE')
    },
  }
}
