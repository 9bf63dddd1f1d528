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
import { mustBeFinished, noAnswer, noData } from './archive-place.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { silentComponents } from './lazy-parts.ts'
import { transportOptions } from './node.ts'
import { ownNodeError } from './operator.ts'

/** All data of a node, as a stream for a backup. */
export interface BackupStream {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Known once `chunks` has been read. */
  end(): BackupEnd
  close(): Promise<void>
}

/**
 * The files of a data directory that go into a backup.
 *
 * @throws CliError if a file is lost: a backup without it would hide the loss
 */
export async function readDataFiles(dataDir: string, withKey: boolean): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {}
  for (const name of withKey ? ([HOSTING_FILE, KEY_FILE] as const) : ([HOSTING_FILE] as const)) {
    const bytes = await readIfThere(join(dataDir, name))
    if (bytes !== undefined && bytes.byteLength > 0) files[name] = bytes
    else if (name === KEY_FILE)
      throw new CliError(
        'failed',
        `There is no ${KEY_FILE} in ${dataDir}. Leave out --with-key to make a backup without it.`,
      )
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

/** The peer id of a data directory's node; null if the directory has no key yet. */
export async function readPeerId(dataDir: string): Promise<string | null> {
  const bytes = await readIfThere(join(dataDir, KEY_FILE))
  return bytes === undefined ? null : privateKeyFromProtobuf(bytes).publicKey.toString()
}

/**
 * Streams the data of a data directory: from the directory itself, or from the node that runs on it, as its operator.
 *
 * @throws CliError, StoreError
 */
export async function openBackupStream(context: CommandContext, config: Config, url: string): Promise<BackupStream> {
  await mustBeFinished(config.dataDir)
  const { openWholeStore } = await import('../../offline/open.ts')
  const components = await silentComponents(context)
  const place = await openWholeStore(config, components, { create: false }).catch((error: unknown) => {
    if (codeOf(error) === 'locked') return 'locked' as const
    throw error
  })
  if (place === undefined) return noData(config.dataDir)
  if (place === 'locked') return await openRunning(url, config.dataDir)
  try {
    const { network } = config
    const readSnapshot = await place.store.exportSnapshot()
    const created_at = Math.floor(context.environment.clock.now() / 1000)
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
    throw codeOf(error) === 'unreachable' ? noAnswer(dataDir, url, error) : ownNodeError(error, url, dataDir)
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
