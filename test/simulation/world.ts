import { pino } from 'pino'
import type { Logger } from '../../src/observe/types.ts'
import type { SignatureEngine } from '../../src/record/engine.ts'
import type { Avatar } from '../../src/record/types.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { testKey } from '../oracle/signing.ts'
import { Author } from './authors.ts'
import { Checker } from './checker.ts'
import { converge } from './convergence.ts'
import { rememberingEngine, rememberingVerifier } from './crypto.ts'
import { failWhileRepairing, scheduleFaults } from './faults.ts'
import { HostilePeer } from './hostile.ts'
import { lieInFollow } from './hostile-follow.ts'
import { lieInSync } from './hostile-sync.ts'
import { Ledger } from './ledger.ts'
import { checkLive } from './live.ts'
import { SimulatedNode } from './node.ts'
import { NodeDownError, type Process } from './process.ts'
import { scheduleDecisions } from './operators.ts'
import type { Quiescence } from './quiescence.ts'
import { Random } from './random.ts'
import { checkFinalState } from './final-checks.ts'
import { scenarioOf, type Scenario } from './scenario.ts'
import { Switchboard } from './switchboard.ts'
import { Timeline } from './timeline.ts'
import { Transfers } from './transfers.ts'
import { Violation } from './violation.ts'
import { Wires } from './wires.ts'
import type { World } from './world-types.ts'

/** Virtual time in which what was begun must come to its end once nothing goes wrong any more. */
const CALM_MS = 12_000
const MAX_TASK_MS = 600_000
/** Where the keys of honest authors begin; see `testKey`. */
const AUTHOR_SEED = 100
const HOSTILE_SEED = 200
const ALL = 1_000_000
/** Share of the commits after which what they changed is held against the oracle at once. */
const LOOKED_AT = 0.4

/** One seed's world: its nodes, what connects them, who writes, and what goes wrong. */
export class SimulatedWorld implements World {
  readonly random: Random
  readonly scenario: Scenario
  readonly timeline: Timeline
  readonly wires: Wires
  readonly switchboard: Switchboard
  readonly engine: SignatureEngine
  readonly ledger = new Ledger()
  readonly checker = new Checker(this.ledger)
  readonly transfers = new Transfers(this.ledger)
  readonly nodes: readonly SimulatedNode[]
  readonly authors: readonly Author[]
  readonly #hostile: HostilePeer | undefined
  readonly #quiescence: Quiescence
  readonly #afterFaults: ((node: SimulatedNode) => Promise<void>)[] = []
  #isHealed = false
  #failure: { readonly error: unknown } | undefined

  constructor(
    seed: number,
    components: { readonly engine: SignatureEngine; readonly quiescence: Quiescence },
    print?: (line: string) => void,
  ) {
    this.random = new Random(seed)
    this.scenario = scenarioOf(this.random.fork())
    this.timeline = new Timeline(print)
    this.timeline.note(JSON.stringify(this.scenario))
    this.#quiescence = components.quiescence
    this.wires = new Wires(this.timeline, this.random.fork(), this.scenario)
    for (const [a, b] of this.scenario.links) this.wires.connect(a, b)
    const engine = rememberingEngine(components.engine)
    this.engine = engine
    this.switchboard = new Switchboard({
      timeline: this.timeline,
      wires: this.wires,
      onPenalty: (by, peer, code) => this.#penalty(by, peer, code),
      onFrame: (from, to, frame) => this.transfers.note(from, to, frame),
    })
    const surroundings = {
      timeline: this.timeline,
      random: this.random.fork(),
      wires: this.wires,
      switchboard: this.switchboard,
      engine,
      verifier: rememberingVerifier(engine),
      logger: this.logger(),
      slowDisk: this.scenario.slowDisk,
      deliver: (from: number, to: number, data: Uint8Array) => this.deliver(from, to, data),
      onCommit: (node: SimulatedNode, avatar: Avatar) => {
        if (this.random.chance(LOOKED_AT)) this.checker.touch(node, avatar)
      },
      onFault: (node: SimulatedNode, error: unknown) => {
        const message = error instanceof Error ? error.message : String(error)
        this.fail(new Violation('what sync reads cannot be read', `${node.name} ${message}`))
      },
      onBroken: (node: SimulatedNode) => failWhileRepairing(this, node),
      onReject: (node: SimulatedNode, from: number, reason: string) => {
        if (from >= this.nodes.length) return
        this.fail(new Violation('an honest node passes on what another rejects', `${from} to ${node.name}: ${reason}`))
      },
    }
    this.nodes = this.scenario.policies.map((policy, number) => new SimulatedNode(number, policy, surroundings))
    this.authors = Array.from(
      { length: this.scenario.avatars },
      (_, number) => new Author(this, testKey(AUTHOR_SEED + number)),
    )
    for (const node of this.nodes) {
      const listed = (node.policy.listed ?? []).flatMap((number) => this.avatars[number] ?? [])
      node.hostFiles.begin(listed.map((avatar) => ({ op: 'add', avatar, at: 0 })))
    }
    this.#hostile = this.scenario.hostilities === 0 ? undefined : this.#makeHostile()
    if (this.scenario.deceived !== null) lieInFollow(this, this.scenario.deceived)
  }

  /** Lives through the whole scenario. @throws Violation, or whatever else went wrong */
  async run(): Promise<void> {
    const { scenario, random } = this
    for (const node of this.nodes) {
      node.skewMs = scenario.skewMs === 0 ? 0 : random.between(-scenario.skewMs, scenario.skewMs)
      const delayMs = node.number < scenario.latecomers ? random.between(0, scenario.faultyMs) : 0
      this.later(delayMs, `${node.name} starts`, async () => this.startNode(node))
    }
    for (let action = 0; action < scenario.actions; action += 1) {
      this.later(random.between(1, scenario.faultyMs), 'author acts', async () => {
        const author = random.pick(this.authors)
        const node = this.someNode(author?.avatar)
        if (node !== undefined && author !== undefined) await author.act(node)
      })
    }
    for (let act = 0; act < scenario.hostilities; act += 1) {
      this.timeline.after(random.between(1, scenario.faultyMs), 'hostile acts', () => this.#hostile?.act())
    }
    scheduleFaults(this)
    scheduleDecisions(this)
    await this.runFor(scenario.faultyMs)
    await this.#heal()
    await converge(this)
    await this.#untilDisksRest()
    await checkFinalState(this)
    await checkLive(this)
  }

  /** Whether faults are over. */
  get isHealed(): boolean {
    return this.#isHealed
  }

  /** Those that honest authors write to. */
  get avatars(): readonly Avatar[] {
    return this.authors.map(({ avatar }) => avatar)
  }

  /** A node that runs, if there is one; mostly one that keeps an avatar. */
  someNode(avatar?: Avatar): SimulatedNode | undefined {
    const running = this.nodes.filter((node) => node.process !== undefined)
    const keeping = avatar === undefined ? running : running.filter((node) => node.keeps(avatar))
    return this.random.pick(keeping.length === 0 || this.random.chance(0.1) ? running : keeping)
  }

  deliver(from: number, to: number, data: Uint8Array): void {
    const node = this.nodes[to]
    if (to === this.nodes.length) this.#hostile?.hear(data)
    if (node !== undefined) this.spawn(async () => node.receive(from, data))
  }

  /** Starts a node, and sees that it has all that it ever acknowledged. */
  async startNode(node: SimulatedNode): Promise<void> {
    try {
      await node.startSomehow()
    } catch (error) {
      if (!node.blockDevice.isFailing) throw error
      node.crash()
      return
    }
    for (const { record, node: number, letGo } of this.ledger.acknowledged) {
      const isWanted = number === node.number && letGo === node.timesLetGo(record.body.avatar)
      if (isWanted) await this.#mustHold(node, record, 'after a restart')
    }
  }

  /**
   * An author was told that its record is kept.
   *
   * @param letGo how often the node had let the avatar go when it was asked
   */
  async acknowledged(record: TestRecord, node: SimulatedNode, letGo: number): Promise<void> {
    this.ledger.acknowledge(record, node.number, letGo)
    if (letGo === node.timesLetGo(record.body.avatar)) await this.#mustHold(node, record, 'when it was acknowledged')
  }

  async #mustHold(node: SimulatedNode, record: TestRecord, when: string): Promise<void> {
    const { id, body } = record
    const lost = await this.#ask(node, async ({ store }) => {
      if ((await store.record(id)) !== undefined) return false
      const base = (await store.summary(body.avatar))?.base?.counter ?? 0
      return node.keepsHistory || body.counter >= base
    })
    if (lost?.answer === true && !node.wasDamaged) throw lostWrite(node, record, when)
  }

  /** What a node answers; undefined if it goes down. */
  async #ask<T>(
    node: SimulatedNode,
    question: (process: Process) => Promise<T>,
  ): Promise<{ readonly answer: T } | undefined> {
    try {
      return { answer: await node.call(question) }
    } catch (error) {
      if (error instanceof NodeDownError) return undefined
      throw error
    }
  }

  /** Does something later; what goes wrong in it ends the run. */
  later(delayMs: number, label: string, task: () => Promise<void>): void {
    this.timeline.after(delayMs, label, () => this.spawn(task))
  }

  /** Does something once all faults are over. */
  afterFaults(task: (node: SimulatedNode) => Promise<void>): void {
    this.#afterFaults.push(task)
  }

  spawn(task: () => Promise<void>): void {
    task().catch((error: unknown) => this.fail(error))
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
  }

  /** Lets virtual time go by until a task is done. */
  async complete(task: () => Promise<void>): Promise<void> {
    let isDone = false
    this.spawn(async () => {
      await task()
      isDone = true
    })
    const limitMs = this.timeline.nowMs + MAX_TASK_MS
    await this.#settle()
    while (!isDone) {
      const happened = this.timeline.step(limitMs)
      await this.#settle()
      if (!happened && !isDone) throw new Violation('something never ends', 'though nothing goes wrong any more')
    }
  }

  /** Lets virtual time go by. */
  async runFor(durationMs: number): Promise<void> {
    const untilMs = this.timeline.nowMs + durationMs
    while (this.timeline.step(untilMs)) await this.#settle()
    await this.#settle()
  }

  /** Whoever waits for a disk may hold what a look without time needs. */
  async #untilDisksRest(): Promise<void> {
    const limitMs = this.timeline.nowMs + MAX_TASK_MS
    while (this.nodes.some(({ process }) => process?.disk.isBusy === true)) {
      if (!this.timeline.step(limitMs)) throw new Violation('a disk never rests', 'though nothing goes wrong any more')
      await this.#settle()
    }
  }

  async #settle(): Promise<void> {
    await this.#quiescence.settle()
    if (this.#failure !== undefined) throw this.#failure.error
    const full = this.nodes.find((node) => !node.isBounded())
    if (full !== undefined) throw new Violation('a queue grows beyond its bound', full.name)
    await this.checker.lookAtChanges()
  }

  /** Ends all faults: wires and disks work, clocks are right, and everyone runs. */
  async #heal(): Promise<void> {
    this.timeline.note('faults end')
    this.wires.heal()
    this.#isHealed = true
    this.switchboard.detach(this.nodes.length)
    this.switchboard.pardon()
    // Right is a time at which nothing that any clock has dated lies ahead.
    for (const node of this.nodes) node.skewMs = this.scenario.skewMs
    await this.runFor(CALM_MS)
    for (const node of this.nodes) {
      node.blockDevice.repair()
      if (node.process === undefined || node.blockDevice.isFailing) node.crash()
      if (node.process === undefined) await this.complete(async () => this.startNode(node))
    }
    for (const task of this.#afterFaults.splice(0)) {
      const node = this.someNode()
      if (node !== undefined) await this.complete(async () => task(node))
    }
    for (const node of this.nodes.filter(({ wasDamaged }) => wasDamaged)) await this.complete(async () => scrub(node))
    await this.runFor(CALM_MS)
  }

  /** Records that sync has moved so far. */
  moved(): number {
    const counts = this.nodes.map(({ process }) =>
      (process?.sync.peers() ?? []).reduce((sum, peer) => sum + peer.records_in + peer.records_out, 0),
    )
    return counts.reduce((sum, count) => sum + count, 0)
  }

  #penalty(by: number, peer: number, code: string): void {
    const isHonest = by < this.nodes.length && peer < this.nodes.length
    // Wires that fail make honest peers slow.
    if (!isHonest || code === 'stalled' || code === 'out_of_time') return
    this.fail(new Violation('an honest node is called dishonest', `n${by} tells of n${peer}: ${code}`))
  }

  #makeHostile(): HostilePeer {
    const number = this.scenario.nodes
    const victims = this.random.shuffled(this.nodes).slice(0, this.random.between(1, 3))
    for (const victim of victims) this.wires.connect(number, victim.number)
    this.switchboard.topic.add(number)
    const key = this.random.chance(0.4) ? (this.authors[0] as Author).key : testKey(HOSTILE_SEED)
    const peer = new HostilePeer(this, number, new Author(this, key))
    if (this.random.chance(0.7)) lieInSync(this, peer)
    return peer
  }

  /** Prints to the trace what nodes log, where there is a trace. */
  logger(): Logger {
    if (!this.timeline.isPrinting) return pino({ level: 'silent' })
    const options = { level: 'info', timestamp: false, base: null }
    return pino(options, { write: (line: string) => this.timeline.comment(line.trim()) })
  }
}

function lostWrite(node: SimulatedNode, { id }: TestRecord, when: string): Violation {
  return new Violation('an acknowledged write is lost', `${node.name} does not have ${id} ${when}`)
}

/** Reads every record, which brings to light what a disk has changed. */
async function scrub(node: SimulatedNode): Promise<void> {
  await node.call(async ({ store }) => {
    for (const avatar of await store.avatars({ limit: ALL })) await store.records(avatar, { after: 0, limit: ALL })
  })
}
