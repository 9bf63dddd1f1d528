import { Resolver } from 'node:dns/promises'

import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'

import { messageOf } from '../platform/errors.ts'
import { parsePeerAddress } from './addresses.ts'
import { NetworkError } from './errors.ts'

/** A node to ask for peers. */
export interface Seed {
  readonly text: string
  /** Of `/dnsaddr/<name>`: the TXT records of the name have the addresses. */
  readonly name: string | undefined
  /** The peer that has to answer; undefined: any. */
  readonly peer: PeerId | undefined
}

export interface SeedAddress {
  readonly address: Multiaddr
  readonly peer: PeerId | undefined
}

/** Answers the texts of the TXT records of a name, each as its parts. */
export type ResolveTxt = (name: string) => Promise<string[][]>

/** TXT records may name further names; a deeper chain is a mistake. */
const MAX_DEPTH = 3
/** Most addresses of one seed, and most names asked for. */
const MAX_SEED_ADDRESSES = 32
const MAX_SHOWN_CHARACTERS = 200
const DNS_TIMEOUT_MS = 5000
const DNS_TRIES = 2

/** The resolver of this system: no central service is asked. */
export function systemResolveTxt(): ResolveTxt {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES })
  return (name) => resolver.resolveTxt(name)
}

/**
 * Reads a seed: `/dnsaddr/<name>`, with or without `/p2p/<peer id>`, or the address of a peer.
 *
 * @throws NetworkError `invalid_address`
 */
export function parseSeed(text: string): Seed {
  if (!text.startsWith('/dnsaddr/')) return { text, name: undefined, peer: parsePeerAddress(text).peer }
  try {
    const [name, id, ...rest] = multiaddr(text).getComponents()
    if (name?.value === undefined || rest.length > 0 || (id !== undefined && id.name !== 'p2p')) {
      throw new Error('only /p2p/<peer id> may follow the name')
    }
    return { text, name: name.value, peer: id?.value === undefined ? undefined : peerIdFromString(id.value) }
  } catch (error) {
    const what = `Cannot use the seed "${text.slice(0, MAX_SHOWN_CHARACTERS)}": ${messageOf(error)}`
    const advice = 'Write it like /dnsaddr/seed.example.org or /ip4/203.0.113.7/tcp/4382.'
    throw new NetworkError('invalid_address', `${what}. ${advice}`)
  }
}

/**
 * The addresses behind a seed. Records that are no address of a peer are ignored, as are those of another peer than the seed names.
 *
 * @throws NetworkError `seed_unusable` if there is none
 */
export async function resolveSeed({ text, name, peer }: Seed, resolveTxt: ResolveTxt): Promise<SeedAddress[]> {
  if (name === undefined) return [parsePeerAddress(text)]
  const found: SeedAddress[] = []
  const names = new Set<string>()
  let problem = 'its name has no TXT record with dnsaddr='

  async function follow(host: string, depth: number): Promise<void> {
    if (names.has(host) || names.size >= MAX_SEED_ADDRESSES || depth > MAX_DEPTH) return
    names.add(host)
    let records: string[][]
    try {
      records = await resolveTxt(`_dnsaddr.${host}`)
    } catch (error) {
      problem = messageOf(error)
      return
    }
    for (const record of records.map((parts) => parts.join('').trim())) {
      if (found.length >= MAX_SEED_ADDRESSES) return
      if (!record.startsWith('dnsaddr=')) continue
      try {
        const value = record.slice('dnsaddr='.length)
        const next = parseSeed(value)
        if (next.name !== undefined) await follow(next.name, depth + 1)
        else if (peer === undefined || next.peer?.equals(peer) === true) found.push(parsePeerAddress(value))
      } catch {
        problem = 'none of its TXT records names a peer that this node can dial'
      }
    }
  }

  await follow(name, 1)
  if (found.length > 0) return found
  throw new NetworkError(
    'seed_unusable',
    `The seed ${text.slice(0, MAX_SHOWN_CHARACTERS)} gives no address: ${problem}. Check the name, or give another seed with --seed.`,
  )
}
