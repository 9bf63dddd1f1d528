import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'

import { createAddressBook } from '../../src/network/address-book.ts'
import type { AddressBook } from '../../src/network/address-book.ts'
import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { choosePeer } from '../../src/network/peer-choice.ts'
import { openPeerRecord, sealPeerRecord } from '../../src/network/peer-record.ts'
import type { SignedPeer } from '../../src/network/peer-record.ts'
import { providerOf, reachOf } from '../../src/network/reach.ts'
import { systemEnvironment } from '../../src/platform/system.ts'

const { random } = systemEnvironment()
const LIMITS = defaultNetworkLimits.discovery
const NOW_MS = 1_800_000_000_000

const bookAt = (clock = { now: () => NOW_MS }): AddressBook => createAddressBook({ clock, random }, LIMITS.book)

async function signed(...hosts: string[]): Promise<SignedPeer> {
  const addresses = hosts.map((host) => multiaddr(`/ip4/${host}/tcp/4382`))
  return openPeerRecord(await sealPeerRecord(await generateKeyPair('Ed25519'), addresses, 1n))
}

/** Adds a peer that worked, at the last of its addresses. */
async function addWorking(book: AddressBook, ...hosts: string[]): Promise<void> {
  const peer = await signed(...hosts)
  book.add(peer, hosts[0] ?? '')
  const entry = book.entries().find((each) => each.signed === peer)
  const address = peer.addresses.at(-1)
  if (entry !== undefined && address !== undefined) book.worked(entry, address)
}

/** The networks of the outgoing connections that a node with this book makes. */
function connectAll(book: AddressBook): string[] {
  const perProvider = new Map<string, number>()
  const taken = new Set<string>()
  const providers: string[] = []
  for (let count = 0; count < LIMITS.keeper.outgoing; count += 1) {
    const choice = { nowMs: NOW_MS, isTaken: (peer: string) => taken.has(peer), perProvider, mostPerProvider: 2 }
    const entry = choosePeer(book.entries(), choice, random)
    if (entry?.address === undefined) break
    taken.add(entry.signed.peer.toString())
    const reach = reachOf(entry.address)
    const provider = (reach && providerOf(reach)) ?? ''
    perProvider.set(provider, (perProvider.get(provider) ?? 0) + 1)
    providers.push(provider)
  }
  return providers
}

test('100 addresses of one network have eight entries in the book and two connections at most', async () => {
  const book = bookAt()
  for (let host = 1; host <= 100; host += 1) await addWorking(book, `9.9.9.${host}`)
  expect(book.entries()).toHaveLength(8)
  expect(connectAll(book)).toEqual(['9.9/16', '9.9/16'])
  for (let net = 20; net < 30; net += 1) await addWorking(book, `8.${net}.0.1`)
  // Each network is as likely as the attacker's.
  for (let round = 0; round < 50; round += 1) {
    const providers = connectAll(book)
    expect(providers).toHaveLength(8)
    expect(providers.filter((provider) => provider === '9.9/16').length).toBeLessThanOrEqual(1)
  }
})

test('further addresses in other networks, where nobody answers, gain nothing', async () => {
  const book = bookAt()
  for (let host = 1; host <= 8; host += 1) await addWorking(book, `8.${host}.0.1`, `9.9.9.${host}`)
  expect(connectAll(book)).toEqual(['9.9/16', '9.9/16'])
})

test('a teller has 64 entries that were never tried, and a flood takes no place of what works', async () => {
  const book = bookAt()
  for (let net = 0; net < 20; net += 1) await addWorking(book, `8.${net}.0.1`)
  for (let at = 0; at < 200; at += 1) book.add(await signed(`11.${at}.0.1`), 'one')
  expect(book.entries()).toHaveLength(20 + 64)
  for (let at = 0; at < 600; at += 1) book.add(await signed(`12.${at % 256}.${at % 250}.1`), `teller-${at}`)
  expect(book.entries()).toHaveLength(20 + 512)
  // The teller with the most has lost entries to those with none.
  expect(book.entries().filter(({ teller }) => teller === 'one').length).toBeLessThan(64)
  expect(book.entries().filter(({ workedAtMs }) => workedAtMs > 0)).toHaveLength(20)
})

test('what never worked, failed, or worked long ago is not passed on, nor are nearer addresses', async () => {
  let nowMs = NOW_MS
  const book = bookAt({ now: () => nowMs })
  await addWorking(book, '8.1.0.1')
  await addWorking(book, '192.168.1.7')
  await addWorking(book, '127.0.0.1')
  book.add(await signed('8.2.0.1'), 'teller')
  expect(book.toTell('public', 31, '')).toHaveLength(1)
  expect(book.toTell('private', 31, '')).toHaveLength(2)
  expect(book.toTell('loopback', 31, '')).toHaveLength(3)
  const [first] = book.entries()
  if (first !== undefined) book.failed(first)
  expect(book.toTell('public', 31, '')).toHaveLength(0)
  nowMs += LIMITS.book.freshMs + 1
  expect(book.toTell('loopback', 31, '')).toHaveLength(0)
})

test('a dead peer is tried ever more rarely, and then forgotten', async () => {
  let nowMs = NOW_MS
  const book = bookAt({ now: () => nowMs })
  await addWorking(book, '8.1.0.1')
  const waits: number[] = []
  for (let entry = book.entries()[0]; entry !== undefined; entry = book.entries()[0]) {
    book.failed(entry)
    const retryAtMs = book.entries()[0]?.retryAtMs
    if (retryAtMs === undefined) break
    waits.push(retryAtMs - nowMs)
    nowMs = retryAtMs
  }
  expect(waits).toHaveLength(LIMITS.book.triedFailures - 1)
  expect(waits[0]).toBe(LIMITS.book.retryMs)
  expect(Math.max(...waits)).toBe(LIMITS.book.longestRetryMs)
})
