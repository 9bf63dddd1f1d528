import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'

import type { AvatarNames } from '../lib/avatar-names.ts'
import type { ClientAddresses } from '../lib/client-address.ts'
import { HttpError } from '../lib/errors.ts'
import type { ReceiptIssuer } from './receipt-issuer.ts'
import { responses } from '../lib/schemas.ts'
import { AvatarParams, ReceiptAnswer } from './schemas.ts'

/** The call that returns a signed receipt for an avatar (docs/protocol.md, "Receipts"). */
export function v2ReceiptRoutes({
  receipts,
  names,
  clients,
}: {
  readonly receipts: ReceiptIssuer
  readonly names: AvatarNames
  readonly clients: Pick<ClientAddresses, 'ofRequest'>
}): FastifyPluginCallbackTypebox {
  return (app, _options, done) => {
    app.get(
      '/v2/avatars/:avatar/receipt',
      {
        schema: {
          tags: ['Reading'],
          summary: 'What this node stores of an avatar, signed with its peer key',
          description:
            'A reader who stores receipts can prove that a node later denied what it had signed. The signature is Ed25519 over ' +
            '`avatar-kv-receipt/2`, a line feed, and the RFC 8785 canonical JSON of the other members.',
          params: AvatarParams,
          response: responses({ 200: ReceiptAnswer }, [400, 404, 429]),
        },
      },
      async (request, reply) => {
        const receipt = await receipts.issue(names.parse(request.params.avatar), clients.ofRequest(request.raw))
        if (receipt === undefined) {
          throw new HttpError(
            404,
            'unknown_avatar',
            'This node has no records of this avatar. Check the avatar, or ask another node.',
          )
        }
        return reply.header('cache-control', 'no-store').send(receipt)
      },
    )

    done()
  }
}
