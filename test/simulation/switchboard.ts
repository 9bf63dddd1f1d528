import type { FrameStream, PeerListener, SyncTransport } from '../../src/sync/types.ts'
import { openStream, type Party } from './streams.ts'
import type { Timeline } from './timeline.ts'
import type { Wires } from './wires.ts'

/** Offences after which a node talks no more with a peer. */
const MAX_OFFENCES = 3

interface Surroundings {
  readonly timeline: Timeline
  readonly wires: Wires
  /** A node tells of a peer that broke the rules. */
  readonly onPenalty: (by: number, peer: number, code: string) => void
  /** A frame of sync is sent. */
  readonly onFrame: (from: number, to: number, frame: Uint8Array) => void
}

type Protocol = 'sync' | 'follow'

/** Who is connected with whom, streams between them, and who is on the gossip topic: what nodes need of a network. */
export class Switchboard {
  /** The numbers of those that are on the gossip topic. */
  readonly topic = new Set<number>()
  readonly #world: Surroundings
  readonly #lines = new Map<number, Line>()
  readonly #cutOff = new Set<string>()
  readonly #offences = new Map<string, number>()

  constructor(world: Surroundings) {
    this.#world = world
  }

  /** A process comes up; its neighbours are connected with it soon after. It speaks the protocols that it listens on. */
  attach(party: Party): Readonly<Record<Protocol, SyncTransport>> {
    const line = new Line(this, party)
    this.#lines.set(party.number, line)
    for (const { number } of this.peersOf(party.number)) {
      this.#world.timeline.after(2, `${nameOf(party.number)} connects with ${nameOf(number)}`, () => {
        if (this.#lines.get(party.number) !== line || !this.#lines.has(number)) return
        line.connected(number)
        this.#lines.get(number)?.connected(party.number)
      })
    }
    return line.ports
  }

  /** The process is gone; its neighbours notice. */
  detach(number: number): void {
    this.topic.delete(number)
    if (!this.#lines.delete(number)) return
    for (const peer of this.#world.wires.neighbours(number)) {
      this.#world.timeline.after(3, `${nameOf(peer)} loses ${nameOf(number)}`, () => {
        this.#lines.get(peer)?.breakDead()
        if (!this.#lines.has(number)) this.#lines.get(peer)?.disconnected(number)
      })
    }
  }

  peersOf(number: number): Party[] {
    return this.#world.wires
      .neighbours(number)
      .filter((peer) => !this.#cutOff.has(`${number} ${peer}`) && !this.#cutOff.has(`${peer} ${number}`))
      .map((peer) => this.#lines.get(peer)?.party)
      .filter((party) => party !== undefined)
  }

  /** Connected parties that listen on a protocol. */
  speakersOf(number: number, protocol: Protocol): number[] {
    return this.peersOf(number).flatMap((party) =>
      this.#lines.get(party.number)?.ports[protocol].isListening === true ? [party.number] : [],
    )
  }

  async open(from: Party, to: number, protocol: Protocol, signal: AbortSignal): Promise<FrameStream> {
    const { timeline, wires } = this.#world
    const { delayMs, isLost } = wires.frame(from.number, to)
    await new Promise<void>((resolve, reject) => {
      const give = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('given up'))
      if (signal.aborted) give()
      signal.addEventListener('abort', give)
      timeline.after(delayMs, `stream ${from.number}>${to} opens`, () => {
        signal.removeEventListener('abort', give)
        if (isLost) reject(new Error('no answer'))
        else resolve()
      })
    })
    const line = this.peersOf(from.number).some(({ number }) => number === to) ? this.#lines.get(to) : undefined
    if (line === undefined || !from.isAlive()) throw new Error('nobody is there')
    const observe = protocol === 'sync' ? this.#world.onFrame : () => undefined
    const [near, far] = openStream(this.#world, from, line.party, observe)
    this.#lines.get(from.number)?.streams.push({ to: line.party, stream: near })
    line.streams.push({ to: from, stream: far })
    line.ports[protocol].called(from.number, far)
    return near
  }

  penalize(by: number, peer: number, code: string): void {
    this.#world.timeline.note(`${nameOf(by)} tells of ${nameOf(peer)}: ${code}`)
    this.#world.onPenalty(by, peer, code)
    const key = `${by} ${peer}`
    const offences = (this.#offences.get(key) ?? 0) + 1
    this.#offences.set(key, offences)
    if (offences < MAX_OFFENCES || this.#cutOff.has(key)) return
    this.#cutOff.add(key)
    this.#lines.get(by)?.disconnected(peer)
    this.#lines.get(peer)?.disconnected(by)
  }

  /** What was an offence while wires failed is forgotten. */
  pardon(): void {
    this.#offences.clear()
    for (const key of [...this.#cutOff]) {
      const [by = -1, peer = -1] = key.split(' ').map(Number)
      this.#cutOff.delete(key)
      if (!this.#lines.has(by) || !this.#lines.has(peer)) continue
      this.#lines.get(by)?.connected(peer)
      this.#lines.get(peer)?.connected(by)
    }
  }
}

class Line {
  readonly party: Party
  /** All streams that were opened, by either side. */
  streams: { readonly to: Party; readonly stream: FrameStream }[] = []
  readonly ports: Readonly<Record<Protocol, Port>>

  constructor(board: Switchboard, party: Party) {
    this.party = party
    this.ports = { sync: new Port(board, party, 'sync'), follow: new Port(board, party, 'follow') }
  }

  /** Breaks the streams to processes that are gone: a connection that ends takes its streams along. */
  breakDead(): void {
    for (const { to, stream } of this.streams) if (!to.isAlive()) stream.abort(new Error('the connection is gone'))
    this.streams = this.streams.filter(({ to }) => to.isAlive())
  }

  connected(peer: number): void {
    for (const port of Object.values(this.ports)) port.connected(peer)
  }

  disconnected(peer: number): void {
    for (const port of Object.values(this.ports)) port.disconnected(peer)
  }
}

class Port implements SyncTransport {
  readonly localPeer: string
  readonly #party: Party
  readonly #protocol: Protocol
  readonly #board: Switchboard
  readonly #listeners = new Set<PeerListener>()

  constructor(board: Switchboard, party: Party, protocol: Protocol) {
    this.#board = board
    this.#party = party
    this.#protocol = protocol
    this.localPeer = nameOf(party.number)
  }

  get isListening(): boolean {
    return this.#listeners.size > 0
  }

  peers(): string[] {
    return this.#board.speakersOf(this.#party.number, this.#protocol).map(nameOf)
  }

  /** Configured peers are followed first; here chance decides. */
  isConfigured(): boolean {
    return this.#protocol === 'sync'
  }

  hostOf(peer: string): { readonly key: string } {
    return { key: peer }
  }

  open(peer: string, signal: AbortSignal): Promise<FrameStream> {
    return this.#board.open(this.#party, numberOf(peer), this.#protocol, signal)
  }

  listen(listener: PeerListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  penalize(peer: string, code: string): void {
    this.#board.penalize(this.#party.number, numberOf(peer), code)
  }

  called(from: number, stream: FrameStream): void {
    for (const listener of this.#listeners) listener.stream(nameOf(from), stream)
    if (this.#listeners.size === 0) stream.abort(new Error('nobody listens'))
  }

  connected(peer: number): void {
    for (const listener of this.#listeners) listener.connected(nameOf(peer))
  }

  disconnected(peer: number): void {
    for (const listener of this.#listeners) listener.disconnected(nameOf(peer))
  }
}

function nameOf(number: number): string {
  return `n${number}`
}

function numberOf(name: string): number {
  return Number(name.slice(1))
}
