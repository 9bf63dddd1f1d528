import { unknownAvatar } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses } from '../lib/schemas.ts'
import { createReceiptIssuer } from './receipt-issuer.ts'
import { AvatarParams, ReceiptAnswer } from './schemas.ts'

/** The call that returns a signed receipt for an avatar (docs/protocol.md, "Receipts"). */
export function addReceiptRoute(
  app: HttpApp,
  { store, signer, environment, names, clients, facts, limits }: RouteParts,
): void {
  const { clock } = environment
  const receipts = createReceiptIssuer({ store, clock, signer }, { network: facts.network, rates: limits.receipts })

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
      if (receipt === undefined) throw unknownAvatar()
      return reply.header('cache-control', 'no-store').send(receipt)
    },
  )
}
