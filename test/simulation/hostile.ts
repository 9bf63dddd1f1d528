import { createRequire } from 'node:module'
import fc from 'fast-check'
import { decodeBatch, encodeBatch } from '../../src/record/codec.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { history } from '../oracle/history.ts'
import { signBody, type TestRecord } from '../oracle/signing.ts'
import { placeOf, type Author } from './authors.ts'
import type { Random } from './random.ts'
import type { World } from './world-types.ts'

interface Bindings {
  ecdsaSign(digest: Uint8Array, secretKey: Uint8Array, options: { data: Uint8Array }): { signature: Uint8Array }
}
const bindings: Bindings = createRequire(import.meta.url)('secp256k1/bindings')

/** The order n of secp256k1 (SEC 2, section 2.4.1). */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const DAY_SECONDS = 86_400
/** Messages of others that it remembers. */
const MAX_HEARD = 200
/** Of so many records that it offers in sync, one is spoilt. */
const STOCK_SPOILT = 7
/** Keys from here on are its own; see `testKey`. */
const HISTORY_SEED = 900

/** A record that it can offer in sync. */
export interface Stocked extends SignedRecord {
  readonly id: string
  readonly createdAt: number
}

type Trick = (peer: HostilePeer) => void

/** A peer that speaks the protocol with real keys and means harm. It has no store; it only sends. */
export class HostilePeer {
  readonly number: number
  readonly #world: World
  readonly #random: Random
  /** Writes with its own key, or with one that it stole. */
  readonly #author: Author
  readonly #heard: Uint8Array[] = []

  constructor(world: World, number: number, author: Author) {
    this.number = number
    this.#world = world
    this.#random = world.random.fork()
    this.#author = author
  }

  /** What it can offer as its own: what it heard, some of it with a signature that only lax nodes take. */
  stock(): Stocked[] {
    const heard = this.#heard.flatMap((data) => recordsOf(data))
    return heard.flatMap((record, at) => {
      const known = this.#world.ledger.byPayload(record.payload)
      if (known === undefined) return []
      const offered = at % STOCK_SPOILT === 0 ? withHighS(record) : record
      return [{ ...offered, id: known.id, createdAt: known.body.created_at }]
    })
  }

  hear(data: Uint8Array): void {
    if (this.#heard.length < MAX_HEARD) this.#heard.push(data)
  }

  act(): void {
    const trick = this.#random.pick(TRICKS)
    trick?.(this)
  }

  /** Two records in one place, one for each half of the network. */
  equivocate(): void {
    const prev = this.#prev()
    this.#tell([this.#author.patch(prev)])
    this.#tell([this.#author.patch(prev)])
  }

  /** A record without what it cites, which comes later or never. */
  withhold(): void {
    const first = this.#author.patch(this.#prev())
    const second = this.#author.patch([placeOf(first)])
    this.#tell([second])
    if (this.#random.chance(0.5)) {
      this.#world.later(this.#random.between(10, 5_000), 'hostile late', async () => this.#tell([first]))
    }
  }

  /** What it heard, once more: as it was, or in other company. */
  replay(): void {
    const heard = this.#random.pick(this.#heard)
    if (heard === undefined) return
    if (this.#random.chance(0.5)) this.#send(heard)
    else this.#tell(this.#random.shuffled(this.#heard.slice(-5).flatMap((data) => recordsOf(data))).slice(0, 6))
  }

  /** The other signature that everyone can make of one: n − s. */
  raiseS(): void {
    const [record] = recordsOf(this.#random.pick(this.#heard))
    if (record !== undefined) this.#tell([withHighS(record)])
  }

  /** A new record with a high s: good to lax implementations. */
  signWithHighS(): void {
    this.#tell([withHighS(this.#author.patch(this.#prev()))])
  }

  /** Two good signatures of one payload. */
  signTwice(): void {
    const record = this.#author.patch(this.#prev())
    const digest = Buffer.from(record.id.slice(2), 'hex')
    const data = this.#random.bytes(32)
    const { signature } = bindings.ecdsaSign(digest, this.#author.key.secretKey, { data })
    this.#tell([record])
    this.#tell([{ payload: record.payload, signature }])
  }

  /** A payload that its signature does not fit. */
  forge(): void {
    const [record] = recordsOf(this.#random.pick(this.#heard))
    if (record === undefined) return
    const payload = Uint8Array.from(record.payload)
    const at = payload.lastIndexOf(0x22) - 1 - this.#random.below(20)
    payload[at] = payload[at] === 0x30 ? 0x31 : 0x30
    this.#tell([{ payload, signature: record.signature }])
  }

  /** Nothing at all, in bytes. */
  babble(): void {
    this.#send(this.#random.bytes(this.#random.between(1, 100)))
  }

  /** A counter that is not the one after what it cites. */
  jump(): void {
    const { body } = this.#author.patch(this.#prev())
    const lie = signBody(this.#author.key, { ...body, counter: body.counter + this.#random.between(1, 5) })
    this.#world.ledger.add(lie)
    this.#tell([lie])
  }

  /** A snapshot that lays all that there is aside, on the ground of a record that nobody has. */
  bury(): void {
    const place = { counter: this.#random.between(1, 60), id: `0x${'ee'.repeat(32)}` as const }
    this.#tell(this.#author.snapshot([place], []))
  }

  /** A snapshot with parts of another counter, or without its last part. */
  mislabel(): void {
    const prev = this.#prev()
    const content = { a: this.#random.below(9) }
    const entry = { content, identity: 'alice', platform: 'twitter' }
    const [part, snapshot] = this.#author.snapshot(prev, [], [entry])
    if (part === undefined || snapshot?.body.type !== 'snapshot') return
    if (this.#random.chance(0.5)) {
      this.#tell([snapshot])
      return
    }
    const shift = this.#random.chance(0.5) ? 1 : -1
    const wrong = this.#author.part(Math.max(1, snapshot.body.counter + shift), [entry])
    const naming = signBody(this.#author.key, { ...snapshot.body, parts: [wrong.id] })
    this.#world.ledger.add(naming)
    this.#tell(this.#random.shuffled([wrong, naming]))
  }

  /** A record from days ahead: refused, and no reason to punish whoever passes it on. */
  dateAhead(): void {
    const { body } = this.#author.patch(this.#prev())
    const record = signBody(this.#author.key, { ...body, created_at: body.created_at + 30 * DAY_SECONDS })
    this.#world.ledger.add(record)
    this.#tell([record])
  }

  /** A citation of a record that is there, under another counter. */
  misquote(): void {
    const record = this.#random.pick(this.#known())
    if (record === undefined) return
    const { counter, id } = placeOf(record)
    this.#tell([this.#author.patch([{ counter: Math.max(1, counter + this.#random.between(-2, 2)), id }])])
  }

  /** A whole history of lies, record by record. */
  tellTales(): void {
    const seed = this.#random.below(3)
    const [tale] = fc.sample(history(8, HISTORY_SEED + seed), { seed: this.#random.uint32() | 0, numRuns: 1 })
    for (const record of [...(tale?.records ?? []), ...(tale?.foreign ?? [])]) {
      this.#world.ledger.add(record)
      if (this.#random.chance(0.9)) this.#tell([record])
    }
  }

  #prev() {
    const records = this.#random.shuffled(this.#known()).slice(0, this.#random.below(3))
    return records.map(placeOf)
  }

  #known(): TestRecord[] {
    const own = [...this.#world.ledger.all()].filter(
      ({ body }) => body.avatar === this.#author.avatar && body.type !== 'part',
    )
    return own.slice(-10)
  }

  #tell(records: readonly SignedRecord[]): void {
    if (records.length > 0) this.#send(encodeBatch(records))
  }

  #send(data: Uint8Array): void {
    const to = this.#random.pick(this.#world.wires.neighbours(this.number))
    if (to === undefined) return
    this.#world.wires.send(this.number, to, `hostile ${this.number}>${to} ${data.length} bytes`, () =>
      this.#world.deliver(this.number, to, data),
    )
  }
}

const TRICKS: readonly Trick[] = [
  (peer) => peer.equivocate(),
  (peer) => peer.withhold(),
  (peer) => peer.replay(),
  (peer) => peer.raiseS(),
  (peer) => peer.signWithHighS(),
  (peer) => peer.signTwice(),
  (peer) => peer.forge(),
  (peer) => peer.babble(),
  (peer) => peer.jump(),
  (peer) => peer.bury(),
  (peer) => peer.mislabel(),
  (peer) => peer.dateAhead(),
  (peer) => peer.misquote(),
  (peer) => peer.tellTales(),
]

function recordsOf(data: Uint8Array | undefined): SignedRecord[] {
  return data === undefined ? [] : decodeBatch(data)
}

function withHighS({ payload, signature }: SignedRecord): SignedRecord {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  const high = Buffer.from((ORDER - s).toString(16).padStart(64, '0'), 'hex')
  return { payload, signature: Uint8Array.from([...signature.subarray(0, 32), ...high]) }
}
