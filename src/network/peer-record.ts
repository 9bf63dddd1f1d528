/**
 * Signed peer records: the addresses of a peer, signed by it (libp2p RFC 0003; docs/protocol.md, "Peer exchange"). Only an address
 * in such a record is believed.
 */
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import { CODE_P2P } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'

import { messageOf } from '../platform/errors.ts'
import { NetworkError } from './errors.ts'
import { reachOf } from './reach.ts'
import type { Scope } from './reach.ts'

/** Key, signature and eight addresses with long names fit. */
export const MAX_PEER_RECORD_BYTES = 1024
/** A node has a few addresses: IPv4, IPv6, a name, a port for WebSockets. */
const MAX_ADDRESSES = 8

export interface SignedPeer {
  readonly peer: PeerId
  /** Grows with each record of a peer; milliseconds since the Unix epoch by libp2p's own custom. */
  readonly seq: bigint
  /** All of one scope, so that a record can be passed on as it is. */
  readonly scope: Scope
  /** Without `/p2p/…`; 1 to `MAX_ADDRESSES`. */
  readonly addresses: readonly Multiaddr[]
  /** The envelope. */
  readonly bytes: Uint8Array
}

/**
 * Reads a record and checks its signature. Addresses that this node cannot dial are left out.
 *
 * @throws NetworkError `peer_record_invalid`
 */
export async function openPeerRecord(bytes: Uint8Array): Promise<SignedPeer> {
  if (bytes.length > MAX_PEER_RECORD_BYTES) throw invalid(`it has more than ${MAX_PEER_RECORD_BYTES} bytes`)
  let record: PeerRecord
  let peer: PeerId
  try {
    const envelope = await RecordEnvelope.openAndCertify(bytes, PeerRecord.DOMAIN)
    record = PeerRecord.createFromProtobuf(envelope.payload)
    peer = peerIdFromPublicKey(envelope.publicKey)
  } catch (error) {
    throw invalid(messageOf(error))
  }
  if (!record.peerId.equals(peer)) throw invalid('it is about another peer than the one that signed it')
  if (record.multiaddrs.length > MAX_ADDRESSES) throw invalid(`it has more than ${MAX_ADDRESSES} addresses`)
  const usable = record.multiaddrs.flatMap((address) => {
    const reach = reachOf(address)
    return reach === undefined ? [] : [{ address: address.decapsulateCode(CODE_P2P), scope: reach.scope }]
  })
  const [first] = usable
  if (first === undefined) throw invalid('it has no address that can be dialled')
  if (usable.some(({ scope }) => scope !== first.scope)) throw invalid('it mixes private and public addresses')
  return { peer, seq: record.seqNumber, scope: first.scope, addresses: usable.map(({ address }) => address), bytes }
}

/** Signs addresses of one scope, at most `MAX_ADDRESSES` of them. */
export async function sealPeerRecord(
  privateKey: PrivateKey,
  addresses: readonly Multiaddr[],
  seq: bigint,
): Promise<Uint8Array> {
  const peerId = peerIdFromPublicKey(privateKey.publicKey)
  const record = new PeerRecord({ peerId, multiaddrs: addresses.slice(0, MAX_ADDRESSES), seqNumber: seq })
  return (await RecordEnvelope.seal(record, privateKey)).marshal()
}

function invalid(why: string): NetworkError {
  return new NetworkError('peer_record_invalid', `A peer record is not valid: ${why}.`)
}
