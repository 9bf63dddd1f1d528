import { mustBeEqual, neighbours } from './agreement.ts'
import type { World } from './world-types.ts'

/** Where what a node says of sync with a neighbour is not true of nodes that agree; undefined if it is everywhere. */
export function wrongHealth(world: World): string | undefined {
  const avatars = new Set([...world.ledger.all()].map(({ body }) => body.avatar))
  for (const pair of neighbours(world)) {
    for (const [node, peer] of [pair, [...pair].reverse() as typeof pair]) {
      const health = node.process?.sync.peers().find(({ peer_id }) => peer_id === peer.name)
      const mayDiffer = [...avatars].some((avatar) => !mustBeEqual(node, peer, avatar))
      const outcome = health?.last?.outcome
      if (outcome === 'equal' || (mayDiffer && outcome === 'equal_except_refused')) continue
      return `${node.name} says of ${peer.name}: ${outcome}`
    }
  }
  return undefined
}
