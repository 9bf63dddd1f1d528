import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'

import { encodeFrames } from '../../backup/frames.ts'
import { backupSource } from '../../backup/source.ts'
import type { Environment } from '../../platform/environment.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import type { StoreReader } from '../../store/types.ts'
import { sendChunks } from '../answers/archive-streams.ts'
import { HttpError, isConnectionError } from '../lib/errors.ts'
import type { HttpLimits } from '../lib/limits.ts'
import { OPERATOR_PREFIX } from '../lib/private-routes.ts'
import { responses } from '../lib/schemas.ts'

export interface BackupRoutes {
  readonly routes: FastifyPluginCallbackTypebox
  /** Ends a running backup; resolves once it no longer reads the store. */
  close(): Promise<void>
}

/** `GET /v2/operator/backup` (docs/protocol.md, "Backup"): all records, of hosted avatars or not, only for the operator. */
export function createBackupRoutes(
  {
    store,
    environment,
    metrics,
    logger,
  }: {
    readonly store: Pick<StoreReader, 'epoch' | 'exportSnapshot'>
    readonly environment: Pick<Environment, 'clock' | 'timers'>
    readonly metrics: Pick<Metrics, 'answerCut'>
    readonly logger: Logger
  },
  options: { readonly network: string; readonly version: string; readonly limits: HttpLimits },
): BackupRoutes {
  const { network, version, limits } = options
  let running: { readonly cut: () => void; readonly done: Promise<void> } | undefined
  let isClosed = false

  const routes: FastifyPluginCallbackTypebox = (app, _options, done) => {
    app.get(
      `${OPERATOR_PREFIX}backup`,
      {
        exposeHeadRoute: false,
        schema: {
          tags: ['Node'],
          summary: 'A backup of everything that the node stores',
          description: 'For the command `avatar-kv backup`. All from one moment of the store; one backup at a time.',
          produces: ['application/octet-stream'],
          response: responses({}, [401]),
        },
      },
      async (_request, reply) => {
        if (isClosed || running !== undefined) {
          const why = isClosed
            ? 'The node is stopping. Try again when it runs.'
            : 'Another backup is running. Wait until it ends.'
          throw new HttpError(503, 'busy', why, { 'retry-after': '5' })
        }
        const response = reply.raw
        const work = async (): Promise<void> => {
          const readSnapshot = await store.exportSnapshot()
          try {
            const createdAt = Math.floor(environment.clock.now() / 1000)
            const source = backupSource(readSnapshot, { network, createdAt })
            reply.hijack()
            response.writeHead(200, [
              ...['content-type', 'application/octet-stream', 'cache-control', 'no-store'],
              ...['x-content-type-options', 'nosniff'],
            ])
            const facts = { epoch: store.epoch, network, version, created_at: createdAt }
            await sendChunks(response, encodeFrames(source, facts), { ...environment, metrics }, limits)
          } finally {
            await readSnapshot.close()
          }
        }
        const done = work()
        running = { cut: () => response.destroy(), done }
        try {
          await done
        } catch (error) {
          if (!reply.sent) throw error
          if (!isConnectionError(error)) logger.error({ err: error }, 'the node broke off a backup after an error')
          // Break the connection: a regular end would make the client take the backup for complete.
          response.destroy()
        } finally {
          running = undefined
        }
        return reply
      },
    )

    done()
  }

  return {
    routes,
    async close() {
      isClosed = true
      running?.cut()
      await running?.done.catch(() => undefined)
    },
  }
}
