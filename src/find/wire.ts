/** The messages of the protocol by which a node asks a peer where an avatar lives (docs/protocol.md, "Where an avatar lives"). */
import { homesIn } from '../homes/homes.ts'
import { parseReceipt, type Receipt } from '../receipt/receipt.ts'
import type { Avatar } from '../record/types.ts'
import { FindError } from './errors.ts'
import { MAX_ADDRESS_CHARACTERS, MAX_ADDRESSES, MAX_TOLD_HOSTS, MAX_URLS } from './limits.ts'

export interface Question {
  readonly avatar: Avatar
  readonly network: string
}

/** A host that a peer tells of. Only the form is checked. */
export interface ToldHost {
  readonly receipt: Receipt
  readonly addresses: readonly string[]
  readonly urls: readonly string[]
}

export interface Answer {
  readonly hosts: readonly ToldHost[]
  readonly homes: readonly string[]
  /** Whether the peer is too busy to answer. */
  readonly busy: boolean
}

const AVATAR = /^0x0[23][0-9a-f]{64}$/
const NETWORK = /^[a-z0-9-]{1,32}$/

export function encodeQuestion({ avatar, network }: Question): Uint8Array {
  return encode({ avatar, network })
}

/** @throws FindError `bad_message` */
export function decodeQuestion(bytes: Uint8Array): Question {
  const { avatar, network } = decode(bytes)
  if (typeof avatar !== 'string' || !AVATAR.test(avatar)) throw bad('the question names no avatar')
  if (typeof network !== 'string' || !NETWORK.test(network)) throw bad('the question names no network')
  return { avatar: avatar as Avatar, network }
}

export function encodeAnswer({ hosts, homes, busy }: Answer): Uint8Array {
  return encode({ hosts, homes, ...(busy ? { busy } : {}) })
}

/** Reads an answer. What is too much is left out. @throws FindError `bad_message` */
export function decodeAnswer(bytes: Uint8Array): Answer {
  const { hosts, homes, busy } = decode(bytes)
  if (!Array.isArray(hosts)) throw bad('the answer has no list of hosts')
  return { hosts: hosts.slice(0, MAX_TOLD_HOSTS).map(toldHost), homes: homesIn(homes), busy: busy === true }
}

function toldHost(value: unknown): ToldHost {
  if (typeof value !== 'object' || value === null) throw bad('a host is not an object')
  const { receipt, addresses, urls } = value as Record<string, unknown>
  try {
    return {
      receipt: parseReceipt(receipt),
      addresses: homesIn(addresses).filter(isMultiaddr).slice(0, MAX_ADDRESSES),
      urls: homesIn(urls)
        .filter((url) => !isMultiaddr(url))
        .slice(0, MAX_URLS),
    }
  } catch (error) {
    throw bad(error instanceof Error ? error.message : 'a receipt is invalid')
  }
}

/** Addresses that fit into an answer. */
export function tellable(addresses: readonly string[], most: number): string[] {
  return addresses.filter((address) => address.length <= MAX_ADDRESS_CHARACTERS).slice(0, most)
}

function isMultiaddr(address: string): boolean {
  return address.startsWith('/')
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function decode(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Reported below.
  }
  throw bad('the message is not a JSON object')
}

function bad(why: string): FindError {
  return new FindError('bad_message', `A peer broke the rules of the find protocol: ${why}.`)
}
