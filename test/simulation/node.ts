import type { SignatureEngine } from '../../src/record/engine.ts'
import type { VerifyService } from '../../src/verify/types.ts'
import type { Random } from './random.ts'
import type { Switchboard } from './switchboard.ts'
import type { Timeline } from './timeline.ts'
import type { Wires } from './wires.ts'
import type { Logger } from '../../src/observe/types.ts'
import { createHash } from 'node:crypto'
import type { Environment } from '../../src/platform/environment.ts'
import { IngestBusyError } from '../../src/ingest/errors.ts'
import { ADMITS_ALL } from '../../src/ingest/admission.ts'
import { createIngest } from '../../src/ingest/ingest.ts'
import { DEFAULT_INGEST_LIMITS } from '../../src/ingest/limits.ts'
import type { IngestResult, Origin } from '../../src/ingest/types.ts'
import { createOutbox } from '../../src/network/outbox.ts'
import { createAnnouncer } from '../../src/node/announcer.ts'
import { openFollowing, type Following } from '../../src/node/following.ts'
import type { Sync } from '../../src/sync/sync.ts'
import { judgeMessage } from '../../src/network/verdict.ts'
import { encodeBatch } from '../../src/record/codec.ts'
import type { Avatar, SignedRecord } from '../../src/record/types.ts'
import { StoreError } from '../../src/store/errors.ts'
import { createStore } from '../../src/store/store.ts'
import { watchGaps } from '../../src/sync/gap-watch.ts'
import { DEFAULT_SYNC_LIMITS } from '../../src/sync/limits.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import { createSync } from '../../src/sync/scheduler.ts'
import { NETWORK } from './crypto.ts'
import { SimulatedDisk } from './disk.ts'
import { gaugesOnly } from './gauges.ts'
import { BlockDevice } from './block-device.ts'
import { HostFiles } from './host-files.ts'
import { NodeDownError, openHosting, WORLD_EPOCH_MS, type Process } from './process.ts'
import type { Policy } from './scenario.ts'
import { watched } from './watched-source.ts'

/** So small that a burst of records fills the door. */
const INGEST_LIMITS = { ...DEFAULT_INGEST_LIMITS, waitingRecords: 24, verifyRecords: 8, commitRecords: 8 }
/** Records that are ever submitted at once here. */
const MAX_SUBMISSION = 512
const OUTBOX_LIMITS = { messageBytes: 65_536, messageRecords: 8, delayMs: 10, queueBytes: 1_048_576 }
/** Quicker than a node's own, so that a few minutes see many sessions. */
const SYNC_LIMITS = { ...DEFAULT_SYNC_LIMITS, intervalMs: 10_000, maxBackoffMs: 20_000, sessionMs: 120_000 }
/** What a disk takes for one operation in virtual time, where it takes any. */
const WRITE_MS = [1, 12] as const
const SLOW_MS = [1, 400] as const

interface Surroundings {
  readonly timeline: Timeline
  readonly random: Random
  readonly wires: Wires
  readonly switchboard: Switchboard
  readonly engine: SignatureEngine
  readonly verifier: Pick<VerifyService, 'verify'>
  readonly logger: Logger
  readonly slowDisk: number
  /** Brings a gossip message to the node or peer with this number. */
  readonly deliver: (from: number, to: number, data: Uint8Array) => void
  readonly onCommit: (node: SimulatedNode, avatar: Avatar) => void
  /** A read failed that must not. */
  readonly onFault: (node: SimulatedNode, error: unknown) => void
  /** It has read a row that its disk has changed, and is about to repair it. */
  readonly onBroken: (node: SimulatedNode) => void
  /** A message that this node would punish its sender for. */
  readonly onReject: (node: SimulatedNode, from: number, reason: string) => void
}

export class SimulatedNode {
  readonly number: number
  readonly name: string
  readonly policy: Policy
  readonly blockDevice = new BlockDevice()
  readonly hostFiles = new HostFiles()
  skewMs = 0
  /** Rows that failed their check, over all lives. */
  corruptions = 0
  /** Rows that the disk has changed or lost. */
  damages = 0
  /** Avatars that are blocked, and the sequence after which nothing of them may have come. */
  readonly blocked = new Map<Avatar, number>()
  readonly #lettingGo = new Map<Avatar, number>()
  readonly #world: Surroundings
  #process: Process | undefined
  #kill: (() => void) | undefined
  #isQuiet = false

  constructor(number: number, policy: Policy, world: Surroundings) {
    this.number = number
    this.policy = policy
    this.name = `n${number}`
    this.#world = world
  }

  /** Whether the disk has changed what was written. */
  get wasDamaged(): boolean {
    return this.damages > 0
  }

  /** Whether it has limits that can make it refuse a record. */
  get isLimited(): boolean {
    return this.policy.quotas !== null
  }

  /** Whether it has kept, and keeps, all history: always an archive, and never short of room. */
  get keepsHistory(): boolean {
    return this.policy.archive === 'always' && !this.isLimited
  }

  /** Whether history may be dropped, and kept when it comes again. */
  get isFickle(): boolean {
    return this.policy.archive === 'sometimes' || (this.policy.archive === 'always' && this.isLimited)
  }

  /** Whether it runs and keeps the records of an avatar. */
  keeps(avatar: Avatar): boolean {
    return this.#process?.hosting.hosts(avatar) === true
  }

  /** Its operator does not want what is held of an avatar any more: from now on it may go. */
  letGo(avatar: Avatar): void {
    this.#lettingGo.set(avatar, this.timesLetGo(avatar) + 1)
  }

  timesLetGo(avatar: Avatar): number {
    return this.#lettingGo.get(avatar) ?? 0
  }

  /** Whether it runs, and no disk of its has ever lied or fails now. */
  get #isSound(): boolean {
    return this.#process !== undefined && !this.wasDamaged && !this.blockDevice.isFailing
  }

  /** The process, while it runs and takes calls. */
  get process(): Process | undefined {
    return this.#process
  }

  /** Starts a process on what the disk has. One whose data cannot be read begins anew. */
  async start(): Promise<void> {
    if (this.#kill !== undefined) return
    const life = { isAlive: true }
    let die: (error: NodeDownError) => void = () => {}
    const death = new Promise<never>((_, reject) => {
      die = reject
    })
    death.catch(() => {})
    this.#kill = () => {
      life.isAlive = false
      this.#world.switchboard.detach(this.number)
      this.#process = undefined
      this.#kill = undefined
      die(new NodeDownError(`${this.name} is down`))
    }
    this.blockDevice.reopen(this.#world.random)
    const environment = this.#environment(life)
    const gauges = new Map<string, () => number>()
    const parts = {
      environment,
      logger: this.#world.logger,
      metrics: gaugesOnly(gauges, (kind) => this.#foundBroken(kind)),
    }
    const disk = new SimulatedDisk(this.blockDevice, (kind) => this.#latency(kind, life))
    await disk.open()
    const { archive, quotas, stepRecords } = this.policy
    const isArchive = archive === 'sometimes' ? this.#world.random.chance(0.5) : archive === 'always'
    const store = await createStore(
      { ...parts, db: disk, engine: this.#world.engine },
      { network: NETWORK, archive: isArchive, stepRecords, ...(quotas === null ? {} : { quotas }) },
    )
    const desk = { write: () => this.#latency('write', life), isFailing: () => this.blockDevice.isFailing }
    const hosting = openHosting(parts, store, this.hostFiles, desk, this.policy)
    store.onCommit((events) => {
      for (const avatar of new Set(events.map((event) => event.avatar))) this.#world.onCommit(this, avatar)
    })
    const outbox = createOutbox(
      { ...environment, ...parts, send: async (records) => this.#flood(encodeBatch(records), undefined) },
      OUTBOX_LIMITS,
    )
    // Ingest, sync and following need each other, as in the node itself.
    const link: { sync?: Sync; following?: Following } = {}
    const announce = createAnnouncer({ environment, publish: outbox.add, nudge: () => link.sync?.nudge() })
    const ingest = createIngest(
      {
        ...parts,
        store,
        verifier: this.#world.verifier,
        admission: {
          ...ADMITS_ALL,
          peek: (payload) => payloadHead(payload)?.avatar,
          admit: (avatar) => hosting.admit(avatar),
        },
        announce: (records, origin) => {
          announce(records, origin)
          link.following?.push(records, origin)
        },
      },
      INGEST_LIMITS,
    )
    const transports = this.#world.switchboard.attach({ number: this.number, isAlive: () => life.isAlive })
    const { keccak256 } = this.#world.engine
    const sync = createSync(
      {
        ...parts,
        source: watched(store, { isSound: () => this.#isSound, onFault: (error) => this.#world.onFault(this, error) }),
        ingest,
        transport: transports.sync,
        keccak256,
      },
      { network: NETWORK, limits: SYNC_LIMITS, scope: () => hosting.scope() },
    )
    link.sync = sync
    const network = { follow: transports.follow, peers: () => this.#peers(), useGossip: this.#useGossip }
    const following = openFollowing({ ...parts, hosting, ingest, network, sync }, { network: NETWORK, gossip: true })
    link.following = following
    // As the node itself does it.
    hosting.onChange(({ admitted }) => {
      if (admitted.length === 0) return
      sync.policyChanged()
      sync.nudge()
    })
    watchGaps({ ...parts, store }, (ids) => sync.missing(ids))
    this.#process = { store, ingest, outbox, sync, following, hosting, isArchive, disk, gauges, death }
    this.#seen.clear()
    this.#useGossip(hosting.mode === 'all')
    sync.start()
    following.start()
    hosting.resume()
  }

  /** Starts, and where the disk has lost what a store cannot do without, starts with an empty one. */
  async startSomehow(): Promise<void> {
    try {
      await this.start()
    } catch (error) {
      if (!(error instanceof StoreError) || !this.wasDamaged) throw error
      this.#kill?.()
      this.blockDevice.wipe()
      await this.start()
    }
  }

  /** Power loss. */
  crash(): void {
    this.#kill?.()
    this.blockDevice.crash(this.#world.random)
    this.hostFiles.crash(this.#world.random)
  }

  /** An orderly end, as on SIGTERM. */
  async stop(): Promise<void> {
    const process = this.#process
    if (process === undefined) return
    this.#process = undefined
    process.following.stop()
    await process.sync.stop()
    this.#world.switchboard.detach(this.number)
    await process.ingest.stop()
    await process.outbox.flush()
    await process.hosting.close()
    await process.store.close()
    this.#kill?.()
  }

  /** @throws NodeDownError if it is down or goes down meanwhile; whatever the door throws */
  async submit(records: readonly SignedRecord[], origin: Origin): Promise<IngestResult[]> {
    return this.call((process) => process.ingest.submit(records, { origin }))
  }

  /** Asks the process for something. */
  async call<T>(ask: (process: Process) => Promise<T>): Promise<T> {
    const process = this.#process
    if (process === undefined) throw new NodeDownError(`${this.name} is down`)
    try {
      return await Promise.race([ask(process), process.death])
    } catch (error) {
      // Whatever a node says while it goes down, or while it cannot repair what it reads, is no answer.
      if (this.#process === process && !this.blockDevice.isFailing) throw error
      if (error instanceof IngestBusyError || error instanceof NodeDownError) throw error
      throw new NodeDownError(`${this.name} gave no answer`, { cause: error })
    }
  }

  /** Whether what waits in it stays within what it may. */
  isBounded(): boolean {
    const { gauges, outbox } = this.#process ?? {}
    const waiting = gauges?.get('avatar_kv_ingest_waiting_records')?.() ?? 0
    const queued = outbox?.queuedBytes() ?? 0
    // One submission may exceed the limit where nothing else waits.
    return waiting <= Math.max(INGEST_LIMITS.waitingRecords, MAX_SUBMISSION) && queued <= OUTBOX_LIMITS.queueBytes
  }

  /** Lets the disk take no time while `look` reads. Only between two events, when nobody else is at work. */
  async quietly<T>(look: () => Promise<T>): Promise<T> {
    this.#isQuiet = true
    try {
      return await look()
    } finally {
      this.#isQuiet = false
    }
  }

  readonly #seen = new Set<string>()

  /** A gossip message arrives. */
  async receive(from: number, data: Uint8Array): Promise<void> {
    const process = this.#process
    if (process === undefined || !this.#world.switchboard.topic.has(this.number) || !this.#isNew(data)) return
    let verdict = 'ignore'
    try {
      const judgement = await judgeMessage(process.ingest, data, { key: String(from) })
      verdict = judgement.verdict
      this.#world.timeline.note(`${this.name} ${verdict} ${judgement.reason}`)
      if (verdict === 'reject') this.#world.onReject(this, from, judgement.reason)
    } catch (error) {
      if (!(error instanceof IngestBusyError) && !this.blockDevice.isFailing && this.#process === process) throw error
      this.#world.timeline.note(`${this.name} ignore: ${error instanceof Error ? error.name : String(error)}`)
      if (this.#process === process) process.sync.nudge()
    }
    if (verdict === 'accept' && this.#process === process) this.#flood(data, from)
  }

  #flood(data: Uint8Array, except: number | undefined): void {
    this.#isNew(data)
    for (const to of this.#world.wires.neighbours(this.number)) {
      if (to === except || !this.#world.switchboard.topic.has(to)) continue
      const label = `gossip ${this.number}>${to} ${messageId(data).slice(0, 8)}`
      this.#world.wires.send(this.number, to, label, () => this.#world.deliver(this.number, to, data))
    }
  }

  readonly #useGossip = (on: boolean): void => {
    const { topic } = this.#world.switchboard
    if (on) topic.add(this.number)
    else topic.delete(this.number)
    this.#world.timeline.note(`${this.name} ${on ? 'joins' : 'leaves'} the topic`)
  }

  /** Connected peers, and whether they are on the gossip topic. */
  #peers(): { readonly peer_id: string; readonly gossip: boolean }[] {
    const { wires, switchboard } = this.#world
    return wires
      .neighbours(this.number)
      .map((number) => ({ peer_id: `n${number}`, gossip: switchboard.topic.has(number) }))
  }

  #isNew(data: Uint8Array): boolean {
    const id = messageId(data)
    if (this.#seen.has(id)) return false
    this.#seen.add(id)
    return true
  }

  #foundBroken(kind: string): void {
    this.corruptions += 1
    this.#world.timeline.note(`${this.name} found a broken ${kind} row`)
    this.#world.onBroken(this)
  }

  #environment(life: { readonly isAlive: boolean }): Environment {
    const { timeline } = this.#world
    const random = this.#world.random.fork()
    return {
      clock: { now: () => WORLD_EPOCH_MS + timeline.nowMs + this.skewMs },
      timers: {
        after: (delayMs, run) =>
          timeline.after(delayMs, `${this.name} timer`, () => {
            if (life.isAlive) run()
          }),
      },
      random: { bytes: (length) => random.bytes(length) },
    }
  }

  #latency(kind: 'read' | 'write', life: { readonly isAlive: boolean }): Promise<void> | undefined {
    const { timeline, random, slowDisk } = this.#world
    // A dead process waits for its disk for ever.
    if (!life.isAlive) return new Promise(() => {})
    if (this.#isQuiet) return undefined
    const isSlow = random.chance(slowDisk)
    if (!isSlow && kind === 'read') return undefined
    const [least, most] = isSlow ? SLOW_MS : WRITE_MS
    return new Promise((resolve) => {
      timeline.after(random.between(least, most), `${this.name} disk ${kind}`, () => {
        if (life.isAlive) resolve()
      })
    })
  }
}

/** The first bytes of SHA-256 of the data (docs/protocol.md, "Gossip"). */
function messageId(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex').slice(0, 40)
}
