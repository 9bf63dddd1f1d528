/** Brings the tables of a database to the layout of this version. Forward only. */
import type pg from 'pg'
import { Umzug } from 'umzug'
import { StoreError } from '../errors.ts'
import { MIGRATIONS } from './schema.ts'

/** Key of the advisory lock that lets one process migrate at a time: "avatar-kv" as a number of its own. */
const MIGRATION_LOCK = 7_218_364_519

/** The oldest version of the server that is known to work. */
const MIN_SERVER = 150_000

/**
 * Runs the migrations that are missing, each in a transaction.
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
  await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
  try {
    await client.query(
      'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    )
    const executed = async (): Promise<string[]> => {
      const { rows } = await client.query<{ name: string }>('SELECT name FROM migrations ORDER BY name')
      return rows.map(({ name }) => name)
    }
    mustKnow(await executed())
    const umzug = new Umzug({
      migrations: MIGRATIONS.map(({ name, sql }) => ({
        name,
        up: async () => {
          // The table of migrations follows in the same transaction, so a migration is applied once or not at all.
          await client.query(`BEGIN; ${sql}; INSERT INTO migrations (name) VALUES ('${name}'); COMMIT`)
        },
      })),
      storage: { executed, logMigration: () => Promise.resolve(), unlogMigration: () => Promise.resolve() },
      logger: undefined,
    })
    await umzug.up()
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK])
  }
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
