/**
 * Finds where an avatar lives, by asking connected peers.
 *
 * Guaranteed: every host that is reported signed, with its peer key, that it has the avatar; the receipt is verified here. The
 * addresses of a host, and homes, are claims. Each peer is asked directly and answers from its own memory, so a question is never
 * passed on. Questions in and out are bounded by rates, with a share for each host; answers are bounded in size and time.
 * Not guaranteed: that all hosts are found.
 */
import { LRUCache } from 'lru-cache'

import { between } from '../platform/back-off.ts'
import type { Environment } from '../platform/environment.ts'
import type { Metrics } from '../observe/types.ts'
import { verifyReceipt } from '../receipt/receipt.ts'
import type { Avatar } from '../record/types.ts'
import { Rates } from '../shares/rates.ts'
import type { Source } from '../shares/types.ts'
import type { SyncTransport } from '../sync/types.ts'
import { addressesFor } from './addresses.ts'
import { FindError } from './errors.ts'
import * as limits from './limits.ts'
import type { Finder, Found, FoundHost, ReceiptIssuer } from './types.ts'
import { decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion, tellable, type Answer } from './wire.ts'

export interface FinderComponents {
  readonly transport: Omit<SyncTransport, 'localPeer'>
  readonly receipts: ReceiptIssuer
  readonly peerId: string
  /** Homes of an avatar: those that it lists, where the node has it, or else those that the node remembers. */
  readonly homesOf: (avatar: Avatar) => Promise<readonly string[]>
  /** Addresses of this node: multiaddrs, and those of its HTTP interface. */
  readonly addresses: () => readonly string[]
  readonly urls: () => readonly string[]
  readonly environment: Environment
  readonly metrics: Pick<Metrics, 'stranger'>
}

/** What peers said of one avatar. */
interface Memory {
  readonly hosts: ReadonlyMap<string, FoundHost>
  readonly homes: readonly string[]
  readonly peersAsked: number
  readonly peersAnswered: number
  readonly askedAtMs: number
}

export function createFinder(components: FinderComponents, { network }: { readonly network: string }): Finder {
  const { transport, receipts, peerId, environment, metrics } = components
  const { clock, timers, random } = environment
  const memory = new LRUCache<Avatar, Memory>({ maxSize: limits.MAX_REMEMBERED_BYTES, sizeCalculation: weightOf })
  const searches = new Map<Avatar, Promise<Memory>>()
  const questionRates = new Rates(limits.QUESTION_RATES, clock)
  const searchRates = new Rates(limits.SEARCH_RATES, clock)
  const stopping = new AbortController()
  const nowS = (): number => Math.floor(clock.now() / 1000)

  const unlisten = transport.listen({
    stream: (peer, stream) => {
      const cancel = timers.after(limits.ANSWER_MS, () => stream.abort(new Error('The question took too long.')))
      const served = (async () => {
        const frame = await stream.receive()
        if (frame !== null) await stream.send(await answer(frame, peer))
        await stream.close()
      })()
      served
        .catch((error: unknown) => {
          if (error instanceof FindError && error.code === 'bad_message') transport.penalize(peer, error.code)
          stream.abort(error instanceof Error ? error : new Error('The question could not be answered.'))
        })
        .finally(cancel)
    },
    connected: () => undefined,
    disconnected: () => undefined,
  })

  async function answer(frame: Uint8Array, peer: string): Promise<Uint8Array> {
    const question = decodeQuestion(frame)
    const source = transport.hostOf(peer)
    if (questionRates.take(source) > 0) {
      metrics.stranger('find', 'too_many_questions')
      return encodeAnswer({ hosts: [], homes: [], busy: true })
    }
    if (question.network !== network) return encodeAnswer({ hosts: [], homes: [], busy: false })
    const { avatar } = question
    const forPeer = (addresses: readonly string[]) => addressesFor(source.key.split('/')[0] ?? '', addresses)
    const own = await ownHost(avatar, source).catch((error: unknown) => {
      // What others signed is still worth telling.
      if (error instanceof FindError) return undefined
      throw error
    })
    const others = [...(memory.get(avatar)?.hosts.values() ?? [])].filter(
      // What the peer said itself is no news to it; what others passed on stays here, so that no rumour goes round.
      ({ receipt, toldBy }) => toldBy === null && receipt.peer_id !== peer && isFresh(receipt.time),
    )
    const hosts = [...(own === undefined ? [] : [own]), ...others].slice(0, limits.MAX_TOLD_HOSTS)
    return encodeAnswer({
      hosts: hosts.map(({ receipt, addresses, urls }) => ({
        receipt,
        addresses: forPeer(addresses),
        urls: forPeer(urls),
      })),
      homes: tellable(await components.homesOf(avatar), limits.MAX_HOSTS),
      busy: false,
    })
  }

  async function ownHost(avatar: Avatar, source: Source): Promise<FoundHost | undefined> {
    const receipt = await receipts.issue(avatar, source)
    if (receipt === undefined) return undefined
    const addresses = tellable(components.addresses(), limits.MAX_ADDRESSES)
    return { receipt, addresses, urls: tellable(components.urls(), limits.MAX_URLS), toldBy: null }
  }

  const isFresh = (time: number): boolean =>
    time > nowS() - limits.MAX_RECEIPT_AGE_S && time < nowS() + limits.CLOCK_SKEW_S

  /** Peers to ask: configured ones first, the others in random order. */
  function peersToAsk(): string[] {
    const ranked = transport.peers().map((peer) => ({
      peer,
      rank: transport.isConfigured(peer) ? 0 : between(random, 1, 2),
    }))
    return ranked
      .toSorted((a, b) => a.rank - b.rank)
      .slice(0, limits.MAX_PEERS_ASKED)
      .map(({ peer }) => peer)
  }

  async function search(avatar: Avatar): Promise<Memory> {
    const before = memory.get(avatar)
    const hosts = new Map(
      [...(before?.hosts ?? [])].filter(([, { receipt, toldBy }]) => toldBy === null && isFresh(receipt.time)),
    )
    const homes = new Set<string>()
    const peers = peersToAsk()
    const answers = await Promise.all(peers.map(async (peer) => ({ peer, said: await ask(peer, avatar) })))
    const told: FoundHost[] = []
    for (const { peer, said } of answers) {
      for (const home of said?.homes ?? []) if (homes.size < limits.MAX_HOSTS) homes.add(home)
      for (const host of said?.hosts ?? []) told.push({ ...host, toldBy: host.receipt.peer_id === peer ? null : peer })
    }
    // What a host says of itself comes first: keys are free, so a peer can invent hosts, and none may displace one that was asked.
    for (const host of told.toSorted((a, b) => Number(a.toldBy !== null) - Number(b.toldBy !== null))) {
      const { peer_id } = host.receipt
      const isKnown = hosts.has(peer_id)
      if (isKnown ? host.toldBy === null : hosts.size < limits.MAX_HOSTS) hosts.set(peer_id, host)
    }
    const answered = answers.filter(({ said }) => said !== undefined).length
    const found = {
      hosts,
      homes: [...homes],
      peersAsked: peers.length,
      peersAnswered: answered,
      askedAtMs: clock.now(),
    }
    memory.set(avatar, found)
    return found
  }

  /** Asks one peer. Returns only hosts whose receipts are genuine; undefined if the peer gave no answer. */
  async function ask(peer: string, avatar: Avatar): Promise<Answer | undefined> {
    const timeout = new AbortController()
    const cancel = timers.after(limits.ANSWER_MS, () => timeout.abort(new Error('The peer does not answer.')))
    const signal = AbortSignal.any([timeout.signal, stopping.signal])
    let end = (): void => undefined
    try {
      const stream = await transport.open(peer, signal)
      end = () => stream.abort(new Error('The question is over.'))
      signal.addEventListener('abort', end)
      await stream.send(encodeQuestion({ avatar, network }))
      const frame = await stream.receive()
      if (frame === null) return undefined
      const said = decodeAnswer(frame)
      if (said.busy) return undefined
      const isFalse = said.hosts.some((host) => !isGenuine(host.receipt, avatar))
      if (isFalse) throw new FindError('bad_message', 'A receipt is not genuine.')
      void stream.close().catch(() => undefined)
      return { ...said, hosts: said.hosts.filter(({ receipt }) => receipt.peer_id !== peerId && isFresh(receipt.time)) }
    } catch (error) {
      end()
      if (error instanceof FindError) transport.penalize(peer, error.code)
      return undefined
    } finally {
      cancel()
      signal.removeEventListener('abort', end)
    }
  }

  function isGenuine(receipt: FoundHost['receipt'], avatar: Avatar): boolean {
    return receipt.avatar === avatar && receipt.network === network && verifyReceipt(receipt)
  }

  /** What peers say, asked now if that is due and allowed. */
  async function fromPeers(avatar: Avatar, source: Source): Promise<Memory | undefined> {
    const known = memory.get(avatar)
    if (known !== undefined && Math.abs(clock.now() - known.askedAtMs) < limits.FRESH_MS) return known
    const running = searches.get(avatar)
    if (running !== undefined) return await running
    if (transport.peers().length === 0 || searches.size >= limits.MAX_SEARCHES) return known
    if (searchRates.take(source) > 0) return known
    const started = search(avatar).finally(() => searches.delete(avatar))
    searches.set(avatar, started)
    return await started
  }

  return {
    peerId,
    async find(avatar, source): Promise<Found> {
      const [own, told, ownHomes] = await Promise.all([
        ownHost(avatar, source),
        fromPeers(avatar, source),
        components.homesOf(avatar),
      ])
      const others = [...(told?.hosts.values() ?? [])]
        .filter(({ receipt }) => isFresh(receipt.time))
        .toSorted((a, b) => b.receipt.time - a.receipt.time)
      return {
        hosts: [...(own === undefined ? [] : [own]), ...others].slice(0, limits.MAX_HOSTS),
        homes: [...new Set([...ownHomes, ...(told?.homes ?? [])])].slice(0, limits.MAX_HOSTS),
        peersAsked: told?.peersAsked ?? 0,
        peersAnswered: told?.peersAnswered ?? 0,
        askedAt: told === undefined ? null : Math.floor(told.askedAtMs / 1000),
      }
    },
    stop() {
      stopping.abort(new Error('The node stops.'))
      unlisten()
    },
  }
}

/** Bytes that an entry takes in memory, roughly. */
function weightOf({ hosts, homes }: Memory): number {
  return 256 + JSON.stringify([[...hosts.values()], homes]).length * 2
}
