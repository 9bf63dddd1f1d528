import { FindError } from '../../find/errors.ts'
import { addressesFor } from '../../find/addresses.ts'
import { HttpError, unknownAvatar } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses } from '../lib/schemas.ts'
import { HOSTS_ROUTE } from '../server/hosting-gate.ts'
import { AvatarParams, HostsAnswer, ReceiptAnswer } from './schemas.ts'

/** Calls that return signed receipts for an avatar: this node's, and those of all hosts that are found. */
export function addReceiptRoutes(
  app: HttpApp,
  { receipts, finder, environment: { clock }, names, clients, facts }: RouteParts,
): void {
  app.get(
    '/v2/avatars/:avatar/receipt',
    {
      schema: {
        tags: ['Reading'],
        operationId: 'getReceipt',
        summary: 'What this node stores of an avatar, signed with its peer key',
        description:
          'A reader who stores receipts can prove that a node later denied what it had signed. The signature is Ed25519 over ' +
          '`avatar-kv-receipt/2`, a line feed, and the RFC 8785 canonical JSON of the other members.',
        params: AvatarParams,
        response: responses({ 200: ReceiptAnswer }, [400, 404]),
      },
    },
    async (request, reply) => {
      const avatar = names.parse(request.params.avatar)
      const receipt = await receipts.issue(avatar, clients.ofRequest(request.raw)).catch(rethrow)
      if (receipt === undefined) throw unknownAvatar()
      return reply.header('cache-control', 'no-store').send(receipt)
    },
  )

  app.get(
    HOSTS_ROUTE,
    {
      schema: {
        tags: ['Reading'],
        operationId: 'findHosts',
        summary: 'Where an avatar lives: hosts that signed that they have it',
        description:
          'Hosts that this node knows, by its own receipt and by those of its peers, which it asks. Each receipt proves that ' +
          'its peer signed it; addresses and homes are claims, so ask a host for its records and verify them.',
        params: AvatarParams,
        response: responses({ 200: HostsAnswer }, [400]),
      },
    },
    async (request, reply) => {
      const avatar = names.parse(request.params.avatar)
      const client = clients.ofRequest(request.raw)
      const found = await finder.find(avatar, client).catch(rethrow)
      const nowS = Math.floor(clock.now() / 1000)
      const shown = (addresses: readonly string[]) => addressesFor(client.address, addresses)
      return reply.header('cache-control', 'no-store').send({
        avatar,
        network: facts.network,
        hosts: found.hosts.map(({ receipt, addresses, urls, toldBy }) => ({
          peer_id: receipt.peer_id,
          here: receipt.peer_id === finder.peerId,
          age_seconds: Math.max(0, nowS - receipt.time),
          urls: shown(urls),
          addresses: shown(addresses),
          told_by: toldBy,
          receipt,
        })),
        homes: shown(found.homes),
        peers_asked: found.peersAsked,
        peers_answered: found.peersAnswered,
        asked_at: found.askedAt,
      })
    },
  )
}

function rethrow(error: unknown): never {
  if (!(error instanceof FindError)) throw error
  const { code, message, retryS } = error
  throw code === 'busy'
    ? new HttpError(503, code, message, { retryS })
    : new HttpError(429, 'too_many_requests', message, { retryS })
}
