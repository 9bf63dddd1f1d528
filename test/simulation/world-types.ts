import type { Logger } from '../../src/observe/types.ts'
import type { SignatureEngine } from '../../src/record/engine.ts'
import type { Avatar, Citation } from '../../src/record/types.ts'
import type { TestRecord } from '../oracle/signing.ts'
import type { Checker } from './checker.ts'
import type { Ledger } from './ledger.ts'
import type { SimulatedNode } from './node.ts'
import type { Random } from './random.ts'
import type { Scenario } from './scenario.ts'
import type { Switchboard } from './switchboard.ts'
import type { Timeline } from './timeline.ts'
import type { Transfers } from './transfers.ts'
import type { Wires } from './wires.ts'

/** Someone who writes to one avatar. */
export interface Writes {
  readonly avatar: Avatar
  patch(prev: readonly Citation[]): TestRecord
}

/** The world of one seed, as its authors, peers, faults and checks see it. */
export interface World {
  readonly random: Random
  readonly scenario: Scenario
  readonly timeline: Timeline
  readonly wires: Wires
  readonly switchboard: Switchboard
  readonly engine: SignatureEngine
  readonly ledger: Ledger
  readonly checker: Checker
  readonly transfers: Transfers
  readonly nodes: readonly SimulatedNode[]
  /** True once faults are over. */
  readonly isHealed: boolean
  readonly authors: readonly Writes[]
  /** The avatars that honest authors write to. */
  readonly avatars: readonly Avatar[]
  /** A node that runs, if there is one; mostly one that hosts the avatar. */
  someNode(avatar?: Avatar): SimulatedNode | undefined
  deliver(from: number, to: number, data: Uint8Array): void
  /** Starts a node and checks that it has all that it ever acknowledged. */
  startNode(node: SimulatedNode): Promise<void>
  /**
   * Notes that an author was told that its record is stored.
   *
   * @param letGo how often the node had dropped the avatar when it was asked
   */
  acknowledged(record: TestRecord, node: SimulatedNode, letGo: number): Promise<void>
  /** Runs a task later. If it fails, the run fails. */
  later(delayMs: number, label: string, task: () => Promise<void>): void
  /** Runs a task once all faults are over. */
  afterFaults(task: (node: SimulatedNode) => Promise<void>): void
  /** Runs a task now. If it fails, the run fails. */
  spawn(task: () => Promise<void>): void
  fail(error: unknown): void
  /** Lets virtual time pass until a task is done. */
  complete(task: () => Promise<void>): Promise<void>
  /** Lets virtual time pass. */
  runFor(durationMs: number): Promise<void>
  /** Records that sync has moved so far. */
  moved(): number
  /** Prints what nodes log to the trace, if there is a trace. */
  logger(): Logger
}
