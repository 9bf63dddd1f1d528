import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'

import { codeOf } from '../../platform/errors.ts'
import { download } from '../../client/download.ts'
import { nodeAddress } from '../../client/node-pool.ts'
import { createOperatorApi } from '../../client/operator-api.ts'
import { decodeFrames } from '../../backup/frames.ts'
import type { BackupEnd } from '../../backup/manifest.ts'
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
import { transportOptions } from './node.ts'
import { ownNodeError } from './operator.ts'

/** Everything that a node holds, on its way into a backup. */
export interface BackupStream {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Known once `chunks` has been read. */
  end(): BackupEnd
  close(): Promise<void>
}

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
    const readSnapshot = await place.store.exportSnapshot()
    const created_at = Math.floor(environment.clock.now() / 1000)
    const source = backupSource(readSnapshot, { network, createdAt: created_at })
    return {
      chunks: source.chunks,
      end: () => ({ ...source.totals(), epoch: place.store.epoch, network, version: packageVersion(), created_at }),
      async close() {
        await readSnapshot.close()
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
  const token = await readOperatorToken(dataDir)
  if (token === undefined) throw new CliError('failed', `A node runs on ${dataDir}, and its operator's token is gone.`)
  try {
    const { transport } = createOperatorApi(nodeAddress(url), token, transportOptions())
    const { chunks: bytes, close } = await download(transport, '/v2/operator/backup', 'The backup')
    const { chunks, end } = decodeFrames(bytes)
    return { chunks, end, close: () => Promise.resolve(close()) }
  } catch (error) {
    if (codeOf(error) !== 'unreachable') throw ownNodeError(error, url, dataDir)
    const what = `A node runs on ${dataDir}, but does not answer at ${url}.`
    throw new CliError('unreachable', `${what} Name its HTTP address with --node URL.`, { cause: error })
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new CliError('failed', `Cannot read ${path}: ${fileProblem(error)}.`)
  }
}
