/** Brings the tables of a database to the layout of this version. Forward only. */
import { Kysely, Migrator, PostgresDialect, sql, type PostgresPool, type PostgresPoolClient } from 'kysely'
import type pg from 'pg'
import { StoreError } from '../errors.ts'
import { MIGRATIONS } from './schema.ts'

/** Key of the advisory lock that lets one process migrate at a time: "avatar-kv" as a number of its own. */
const MIGRATION_LOCK = 7_218_364_519

/** Name of the table of migrations that ran. */
const TABLE = 'migrations'
/** The oldest version of the server that is known to work. */
const MIN_SERVER = 150_000

/**
 * Runs the migrations that are missing, all in one transaction.
 *
 * @throws StoreError `schema_newer` if a newer version of the node has migrated the database; `unreadable` if the server is too old
 */
export async function migrate(client: pg.Client): Promise<void> {
  const { rows: versions } = await client.query<{ number: number; text: string }>(
    `SELECT current_setting('server_version_num')::integer AS number, current_setting('server_version') AS text`,
  )
  const [version] = versions
  if (version !== undefined && version.number < MIN_SERVER) {
    const message = `The database server is PostgreSQL ${version.text}; the node needs 15 or newer. Upgrade the server.`
    throw new StoreError('unreadable', message)
  }
  const [{ schema } = { schema: 'public' }] = (
    await client.query<{ schema: string }>('SELECT current_schema() AS schema')
  ).rows
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: poolOf(client) }) })
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(Object.fromEntries(MIGRATIONS.map(toMigration))) },
    migrationTableSchema: schema,
    migrationTableName: TABLE,
    migrationLockTableName: `${TABLE}_lock`,
  })
  await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
  try {
    mustKnow(await executedOf(client))
    const { error } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK])
  }
}

const toMigration = ({ name, sql: text }: { readonly name: string; readonly sql: string }) =>
  [name, { up: async (db: Kysely<unknown>) => void (await sql.raw(text).execute(db)) }] as const

/** One connection as a pool, for the migrator. */
const poolOf = (client: pg.Client): PostgresPool => ({
  connect: () =>
    Promise.resolve({
      query: (text: string, values: readonly unknown[]) => client.query(text, [...values]),
      release: () => undefined,
    } as unknown as PostgresPoolClient),
  end: () => Promise.resolve(),
})

async function executedOf(client: pg.Client): Promise<string[]> {
  // Another application may have a table of this name in a schema that is searched later.
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regclass(format('%I.%I', current_schema(), $1::text)) IS NOT NULL AS there`,
    [TABLE],
  )
  if (rows[0]?.there !== true) return []
  return (await client.query<{ name: string }>(`SELECT name FROM ${TABLE} ORDER BY name`)).rows.map(({ name }) => name)
}

/** @throws StoreError `schema_newer` */
function mustKnow(executed: readonly string[]): void {
  const unknown = executed.find((name) => !MIGRATIONS.some((migration) => migration.name === name))
  if (unknown === undefined) return
  throw new StoreError(
    'schema_newer',
    `A newer avatar-kv has changed the tables of this database (migration ${unknown}). Upgrade avatar-kv, or choose ` +
      'another database.',
  )
}
