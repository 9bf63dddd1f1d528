import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'

import { codeOf, messageOf } from '../../platform/errors.ts'
import { decodeFrames } from '../../backup/frames.ts'
import type { BackupEnd } from '../../backup/frames.ts'
import { HOSTING_FILE, KEY_FILE } from '../../backup/manifest.ts'
import { backupSource } from '../../backup/source.ts'
import type { Config } from '../../config/load.ts'
import { packageVersion } from '../../config/package-files.ts'
import { dataFilesPath, wasMade } from '../../node/data-files.ts'
import { fileProblem } from '../../platform/files.ts'
import { readOperatorToken } from '../../hosting/operator-token.ts'
import { mustBeFinished } from './archive-place.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { parseUrl, readBounded } from './node-client.ts'
import { printable } from './text.ts'

/** Everything that a node holds, on its way into a backup. */
export interface BackupStream {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Known once `chunks` has been read. */
  end(): BackupEnd
  close(): Promise<void>
}

/** A node that sends nothing for so long is gone. */
const STALL_MS = 60_000
const MAX_ERROR_BYTES = 64 * 1024
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/**
 * The files of a data directory that go into a backup.
 *
 * @throws CliError where a file is lost: a backup without it would hide that
 */
export async function readDataFiles(dataDir: string, withKey: boolean): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {}
  for (const name of withKey ? ([HOSTING_FILE, KEY_FILE] as const) : ([HOSTING_FILE] as const)) {
    const bytes = await readIfThere(join(dataDir, name))
    if (bytes !== undefined && bytes.byteLength > 0) files[name] = bytes
    else if (name === KEY_FILE) throw new CliError('failed', `There is no ${KEY_FILE} in ${dataDir} to go along.`)
    else if (await wasMade(dataDir, name)) {
      throw new CliError(
        'failed',
        `The hosting lists ${join(dataDir, name)} are lost, so no backup was made. Restore the file from an earlier backup, or ` +
          `remove ${dataFilesPath(dataDir)} to go on without lists.`,
      )
    }
  }
  return files
}

/** The peer id of the node of a data directory; null where it has no key yet. */
export async function readPeerId(dataDir: string): Promise<string | null> {
  const bytes = await readIfThere(join(dataDir, KEY_FILE))
  return bytes === undefined ? null : privateKeyFromProtobuf(bytes).publicKey.toString()
}

/**
 * Opens what a data directory holds: itself where no node runs on it, else by the node, as its operator.
 *
 * @throws CliError, StoreError
 */
export async function openBackupStream(context: CommandContext, config: Config, url: string): Promise<BackupStream> {
  await mustBeFinished(config.dataDir)
  const [{ openWholeStore }, { createLogger }] = await Promise.all([
    import('../../offline/whole-store.ts'),
    import('../../observe/logger.ts'),
  ])
  const { environment } = context
  const logger = createLogger({ level: 'silent', pretty: false })
  const place = await openWholeStore(config, { environment, logger }, { create: false }).catch((error: unknown) => {
    if (codeOf(error) === 'locked') return 'locked' as const
    throw error
  })
  if (place === undefined)
    throw new CliError(
      'failed',
      `There are no data of a node in ${config.dataDir}. Name its data directory with --data-dir DIR.`,
    )
  if (place === 'locked') return await openRunning(url, config.dataDir)
  try {
    const { network } = config
    const moment = await place.store.exportMoment()
    const created_at = Math.floor(environment.clock.now() / 1000)
    const source = backupSource(moment, { network, createdAt: created_at })
    return {
      chunks: source.chunks,
      end: () => ({ ...source.totals(), epoch: place.store.epoch, network, version: packageVersion(), created_at }),
      async close() {
        await moment.close()
        await place.close()
      },
    }
  } catch (error) {
    await place.close()
    throw error
  }
}

/** `GET /v2/operator/backup`. */
async function openRunning(url: string, dataDir: string): Promise<BackupStream> {
  const base = parseUrl(url)
  const { protocol, hostname } = new URL(base)
  if (protocol === 'http:' && !LOOPBACK.test(hostname)) {
    throw new CliError('usage', `The operator's token is not sent in the clear to ${hostname}. Use https, or a tunnel.`)
  }
  const token = await readOperatorToken(dataDir)
  if (token === undefined) throw new CliError('failed', `A node runs on ${dataDir}, and its operator's token is gone.`)
  const control = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const alive = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => control.abort(new Error(`it sent nothing for ${STALL_MS / 1000} s`)), STALL_MS)
  }
  const lost = (error: unknown): CliError => {
    const cause: unknown = error instanceof Error && error.cause !== undefined ? error.cause : error
    const why = printable(messageOf(cause))
    return new CliError(
      'unreachable',
      `The node on ${dataDir} does not give its backup at ${url} (${why}). Name its HTTP address with --node URL.`,
    )
  }

  alive()
  let response: Response
  try {
    // The token is for this address alone.
    const init: RequestInit = { redirect: 'error', headers: { authorization: `Bearer ${token}` } }
    response = await fetch(`${base}/v2/operator/backup`, { ...init, signal: control.signal })
    if (response.status !== 200)
      throw refusal(url, dataDir, response.status, await readBounded(response, MAX_ERROR_BYTES))
  } catch (error) {
    throw error instanceof CliError ? error : lost(error)
  } finally {
    clearTimeout(timer)
  }
  const { body } = response
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      alive()
      for await (const chunk of body ?? []) {
        clearTimeout(timer)
        yield chunk as Uint8Array
        alive()
      }
    } catch (error) {
      throw lost(error)
    } finally {
      clearTimeout(timer)
    }
  }
  const { chunks, end } = decodeFrames(bytes())
  return {
    chunks,
    end,
    close() {
      control.abort()
      return Promise.resolve()
    },
  }
}

function refusal(url: string, dataDir: string, status: number, text: string): CliError {
  if (status === 401 || status === 404) {
    const what = `The node at ${url} is not the one whose data is in ${dataDir}.`
    return new CliError('refused', `${what} Name the right ones with --node URL and --data-dir DIR.`)
  }
  let said = 'without a reason'
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown }
    said = `${String(code)}: ${String(message)}`
  } catch {
    // The status alone has to say it.
  }
  return new CliError('refused', `The node at ${url} answered with ${status}: ${printable(said)}`)
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new CliError('failed', `Cannot read ${path}: ${fileProblem(error)}.`)
  }
}
