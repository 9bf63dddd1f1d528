import { encodeFrames } from '../../backup/frames.ts'
import { backupSource } from '../../backup/source.ts'
import { HttpError } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { OPERATOR_PREFIX } from '../lib/private-routes.ts'
import { responses, textOf } from '../lib/schemas.ts'

/** `GET /v2/operator/backup` (docs/protocol.md, "Backup"): all records, of hosted avatars or not, only for the operator. */
export function addBackupRoute(app: HttpApp, { fullStore, environment, facts, transfers }: RouteParts): void {
  const { network, version } = facts
  let isRunning = false

  app.get(
    `${OPERATOR_PREFIX}backup`,
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['Node'],
        operationId: 'operatorBackup',
        summary: 'A backup of everything that the node stores',
        description: 'For the command `avatar-kv backup`. All from one moment of the store; one backup at a time.',
        response: responses({ 200: textOf(['application/octet-stream'], 'The bytes of the backup.') }, [401]),
      },
    },
    async (_request, reply) => {
      if (isRunning) {
        throw new HttpError(503, 'busy', 'Another backup is running. Wait until it ends.', { retryS: 5 })
      }
      isRunning = true
      try {
        const open = () => fullStore.exportSnapshot()
        return await transfers.send(reply, open, (readSnapshot) => {
          const createdAt = Math.floor(environment.clock.now() / 1000)
          const source = backupSource(readSnapshot, { network, createdAt })
          return {
            head: [
              ...['content-type', 'application/octet-stream', 'cache-control', 'no-store'],
              ...['x-content-type-options', 'nosniff'],
            ],
            chunks: encodeFrames(source, { epoch: fullStore.epoch, network, version, created_at: createdAt }),
          }
        })
      } finally {
        isRunning = false
      }
    },
  )
}
