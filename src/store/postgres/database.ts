/**
 * Connections to PostgreSQL: short transactions from one pool, and long reads from another, so that slow readers never keep
 * writers waiting. Errors become `StoreError`s that say what to do.
 *
 * Retried here: a read whose connection broke. Everything else is up to the caller, which knows what may be repeated.
 */
import pg from 'pg'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../observe/types.ts'
import { StoreError } from '../errors.ts'
import { statements, type StatementName } from './statements.ts'

/** Connections for transactions and short reads. */
const POOL_SIZE = 10
/** Connections for reads of one moment that last longer than one statement. */
const LONG_POOL_SIZE = 6
/** How long a caller waits for a connection. */
const CONNECT_MS = 5_000
/** A statement that takes longer is cancelled: it waits for a lock that no one releases. */
const STATEMENT_MS = 30_000
/** Without an answer for longer, a connection counts as broken: the server's machine may be gone without a word. */
const ANSWER_MS = 40_000
/** PostgreSQL ends a transaction of a process that stopped in its middle, so that its locks are free again. */
const IDLE_IN_TRANSACTION_MS = 60_000
/** Object identifier of the type `bigint`. */
const BIGINT_OID = 20

export type Row = Record<string, unknown>
type Values = readonly unknown[]

/** Runs statements: on any connection, or on the connection of one transaction. */
export interface Queries {
  rows<T = Row>(name: StatementName, values?: Values): Promise<T[]>
}

/** A transaction that sees one moment. It must be closed. */
export interface Moment extends Queries {
  close(): Promise<void>
}

export class PostgresDatabase implements Queries {
  readonly #short: pg.Pool
  readonly #long: pg.Pool
  readonly #config: pg.PoolConfig

  constructor({ logger }: { readonly logger: Logger }, url: string) {
    this.#config = {
      connectionString: url,
      application_name: 'avatar-kv',
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: ANSWER_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      keepAlive: true,
      // Sequences and counters are below 2^53.
      types: {
        getTypeParser: ((oid: number, format?: 'text') =>
          oid === BIGINT_OID ? Number : pg.types.getTypeParser(oid, format)) as never,
      },
    }
    try {
      // Parses the URL. The error of a malformed one would contain the password.
      void new pg.Client(this.#config)
    } catch {
      throw new StoreError(
        'unavailable',
        'The URL of the database cannot be read. Correct it: postgres://user:password@host:5432/database.',
      )
    }
    this.#short = new pg.Pool({ ...this.#config, max: POOL_SIZE })
    this.#long = new pg.Pool({
      ...this.#config,
      max: LONG_POOL_SIZE,
      statement_timeout: 0,
      idle_in_transaction_session_timeout: 0,
    })
    for (const pool of [this.#short, this.#long]) {
      pool.on('error', (error) => logger.debug({ err: error }, 'an idle connection to the database broke'))
    }
  }

  get waiting(): number {
    return this.#short.waitingCount + this.#long.waitingCount
  }

  get connections(): number {
    return this.#short.totalCount + this.#long.totalCount
  }

  /** Runs one statement, once more if its connection broke. For reads. */
  async rows<T = Row>(name: StatementName, values: Values = []): Promise<T[]> {
    for (let tries = 1; ; tries += 1) {
      try {
        const { rows } = await this.#short.query({ ...statements[name], values: [...values] })
        return rows as T[]
      } catch (error) {
        if (!isConnectionLost(error) || tries > 1) throw storeError(error)
      }
    }
  }

  /**
   * Runs a transaction. Not retried.
   *
   * @throws PostgresFault with the phase in which it failed
   */
  async transaction<T>(run: (queries: Queries) => Promise<T>): Promise<T> {
    let client: pg.PoolClient
    try {
      client = await this.#short.connect()
    } catch (error) {
      throw new PostgresFault(error, 'begin')
    }
    let phase: PostgresFault['phase'] = 'begin'
    let broken: Error | undefined
    // Without a listener, a connection that breaks between two statements would end the process.
    const onError = (error: Error): void => void (broken = error)
    client.on('error', onError)
    try {
      await client.query('BEGIN')
      phase = 'run'
      const result = await run(queriesOf(client))
      phase = 'commit'
      await client.query('COMMIT')
      return result
    } catch (error) {
      const lost = isConnectionLost(error)
      if (lost) broken ??= error as Error
      else if (phase !== 'commit') await client.query('ROLLBACK').catch((failed: Error) => void (broken ??= failed))
      if (error instanceof Rollback) return error.result as T
      throw isDatabaseError(error) ? new PostgresFault(error, phase) : error
    } finally {
      client.off('error', onError)
      client.release(broken)
    }
  }

  /**
   * Begins a read of one moment.
   *
   * @param length `long`: a reader outside the node decides how long it takes
   */
  async moment(length: 'short' | 'long'): Promise<Moment> {
    try {
      const client = await (length === 'short' ? this.#short : this.#long).connect()
      let broken: Error | undefined
      const onError = (error: Error): void => void (broken = error)
      client.on('error', onError)
      let isOpen = true
      const close = async (): Promise<void> => {
        if (!isOpen) return
        isOpen = false
        await client.query('COMMIT').catch((error: Error) => void (broken ??= error))
        client.off('error', onError)
        client.release(broken)
      }
      try {
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      } catch (error) {
        broken = error as Error
        await close()
        throw error
      }
      const { rows } = queriesOf(client)
      return {
        rows: (name, values) =>
          rows(name, values).catch((error: unknown) => {
            broken ??= error as Error
            throw storeError(error)
          }) as never,
        close,
      }
    } catch (error) {
      throw storeError(error)
    }
  }

  /** A connection of its own without time limits, for notifications and for migrations. */
  async client(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#config, statement_timeout: 0, query_timeout: 0 })
    await client.connect()
    return client
  }

  async close(): Promise<void> {
    await Promise.all([this.#short.end(), this.#long.end()])
  }
}

function queriesOf(client: pg.PoolClient): Queries {
  return {
    rows: async (name, values = []) => {
      const { rows } = await client.query({ ...statements[name], values: [...values] })
      return rows as never
    },
  }
}

/** Thrown in a transaction that is to change nothing: it is rolled back, and `transaction` returns the result. */
export class Rollback extends Error {
  readonly result: unknown

  constructor(result: unknown) {
    super('The transaction is rolled back on purpose.')
    this.result = result
  }
}

/** A transaction failed. */
export class PostgresFault extends Error {
  override readonly name = 'PostgresFault'
  /** `commit`: the database may have committed the transaction. Otherwise it has not. */
  readonly phase: 'begin' | 'run' | 'commit'

  constructor(cause: unknown, phase: PostgresFault['phase']) {
    super(messageOf(cause), { cause })
    this.phase = phase
  }

  /** Whether the connection broke, or the server is not there. */
  get isLost(): boolean {
    return isConnectionLost(this.cause)
  }

  /** Whether the same transaction can succeed if it is run again: deadlock, failed serialisation, lock timeout. */
  get isTransient(): boolean {
    return TRANSIENT.has(codeOf(this.cause))
  }
}

const TRANSIENT: ReadonlySet<string> = new Set(['40001', '40P01', '55P03'])
/** Server shut down, crashed or starting up; too many connections; a standby that is not writable yet. */
const LOST: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03', '53300', '25006'])
const LOST_SYSTEM: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])
/** Texts of `pg` for broken connections: these errors have no code. */
const LOST_TEXT =
  /connection terminated|connection error|connection ended|query read timeout|timeout exceeded when trying to connect|client was closed|not queryable/i

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function isConnectionLost(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isConnectionLost)
  const code = codeOf(error)
  return LOST.has(code) || code.startsWith('08') || LOST_SYSTEM.has(code) || LOST_TEXT.test(messageOf(error))
}

function isDatabaseError(error: unknown): boolean {
  return error instanceof pg.DatabaseError || isConnectionLost(error)
}

/** The error for a caller of the store. */
export function storeError(error: unknown): unknown {
  if (error instanceof StoreError) return error
  const cause = error instanceof PostgresFault ? error.cause : error
  if (codeOf(cause) === '53100') {
    const message = 'The disk of the database server is full. Free some space there. The node writes again by itself.'
    return new StoreError('disk_full', message, { cause })
  }
  if (error instanceof PostgresFault || isDatabaseError(cause)) {
    const message = `The database did not answer as expected: ${messageOf(cause)}. The node tries again with the next request. Check the database server if this continues.`
    return new StoreError('unavailable', message, { cause })
  }
  return error
}
