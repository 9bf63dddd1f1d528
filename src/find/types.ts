import type { Receipt, ReceiptSigner } from '../receipt/receipt.ts'
import type { Avatar } from '../record/types.ts'
import type { Source } from '../shares/types.ts'

/** The node's key and its peer id. */
export interface PeerSigner extends ReceiptSigner {
  readonly peerId: string
}

export interface ReceiptIssuer {
  /**
   * Returns a signed receipt for the node's current state of an avatar; undefined if it has no records of the avatar.
   *
   * @param source the caller, whose rate limit a new signature counts against; a cached receipt does not count
   * @throws FindError `too_many_requests`, `busy`
   */
  issue(avatar: Avatar, source: Source): Promise<Receipt | undefined>
}

/** A host of an avatar. The receipt proves that the peer signed that it has the avatar; the addresses are claims. */
export interface FoundHost {
  readonly receipt: Receipt
  /** Multiaddrs, claimed by the peer that told of the host. */
  readonly addresses: readonly string[]
  /** Addresses of the host's HTTP interface, claimed by the same. */
  readonly urls: readonly string[]
  /** The peer id of the peer that passed the receipt on; null if the host gave it to this node itself, or is this node. */
  readonly toldBy: string | null
}

/** Where an avatar lives, as far as this node knows. */
export interface Found {
  /** At most 16, the newest receipts first, this node before all. Each receipt was verified. */
  readonly hosts: readonly FoundHost[]
  /** Addresses that the avatar lists as its homes, by the account of this node or of peers. Not verified. */
  readonly homes: readonly string[]
  /** Peers that were asked, and of those the ones that answered. */
  readonly peersAsked: number
  readonly peersAnswered: number
  /** When they were asked, in Unix seconds; null if no peer was asked. */
  readonly askedAt: number | null
}

export interface Finder {
  /** That of this node. */
  readonly peerId: string
  /**
   * Finds the hosts of an avatar. Asks connected peers, unless they were asked a moment ago.
   *
   * @param source the caller, whose rate limit new questions to peers count against; beyond it the answer is from memory
   * @throws FindError `too_many_requests`, `busy`, if this node cannot sign what it holds now
   */
  find(avatar: Avatar, source: Source): Promise<Found>
  stop(): void
}
