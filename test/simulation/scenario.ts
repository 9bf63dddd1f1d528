import type { Quotas } from '../../src/store/types.ts'
import type { Random } from './random.ts'

/** What a node keeps. */
export interface Policy {
  /** Superseded records, too; or its operator decides that anew at every start. */
  readonly archive: 'always' | 'never' | 'sometimes'
  /** Avatars on its list when it first starts; null: it keeps all. */
  readonly listed: readonly number[] | null
  readonly quotas: Quotas | null
  /** Records in one step of its background work. */
  readonly stepRecords: number
}

/** What a seed makes of a world. Probabilities are of each message; counts are of the whole faulty phase. */
export interface Scenario {
  readonly nodes: number
  /** Pairs of nodes that are connected. */
  readonly links: readonly (readonly [number, number])[]
  readonly avatars: number
  /** Things that authors do. */
  readonly actions: number
  readonly faultyMs: number
  readonly loss: number
  readonly duplication: number
  readonly delayMs: readonly [number, number]
  /** Probability that an operation of a disk takes virtual time. */
  readonly slowDisk: number
  readonly partitions: number
  readonly clogs: number
  readonly crashes: number
  readonly diskFailures: number
  /** Stored rows that a disk changes or loses. */
  readonly brokenRows: number
  readonly departures: number
  /** Nodes that join only some time later. */
  readonly latecomers: number
  /** Greatest difference of a clock from the true time, either way. */
  readonly skewMs: number
  /** Probability that an author writes on what it saw earlier instead of what the node shows. */
  readonly staleness: number
  /** Probability that a record is held back for a while, or for ever. */
  readonly withholding: number
  readonly snapshots: number
  /** Things that a hostile peer does; 0 without one. */
  readonly hostilities: number
  /** Of each node, by its number. */
  readonly policies: readonly Policy[]
  /** Times that an operator takes in an avatar, lets it go, or blocks it. */
  readonly decisions: number
  /** A node whose list two peers of bad faith claim to keep, of which they send nothing; null without them. */
  readonly deceived: number | null
}

const DAY_MS = 86_400_000

/** The same seed, the same scenario. */
export function scenarioOf(random: Random): Scenario {
  const nodes = random.pick([3, 3, 3, 3, 3, 4, 4, 5, 6, 7])
  const some = (probability: number, most: number): number => (random.chance(probability) ? random.between(1, most) : 0)
  const avatars = random.pick([1, 1, 2, 3])
  const faults: Omit<Scenario, 'policies' | 'decisions' | 'deceived'> = {
    nodes,
    links: linksOf(random, nodes),
    avatars,
    actions: random.between(12, nodes > 4 ? 24 : 40),
    faultyMs: random.between(15_000, 70_000),
    loss: random.chance(0.6) ? random.below(31) / 100 : 0,
    duplication: random.chance(0.4) ? random.below(31) / 100 : 0,
    delayMs: random.pick([
      [1, 5],
      [5, 80],
      [20, 3_000],
    ]),
    slowDisk: random.pick([0, 0, 0.05, 0.3]),
    partitions: some(0.4, 3),
    clogs: some(0.3, 3),
    crashes: some(0.5, 4),
    diskFailures: some(0.2, 2),
    brokenRows: some(0.25, 4),
    departures: some(0.25, 2),
    latecomers: some(0.25, 2),
    skewMs: random.pick([0, 0, 5_000, 3 * DAY_MS]),
    staleness: random.pick([0, 0.1, 0.4]),
    withholding: random.pick([0, 0.1, 0.3]),
    snapshots: random.pick([0, 0.1, 0.25]),
    hostilities: some(0.4, 12),
  }
  const policies = policiesOf(random, nodes, avatars)
  const decisions = some(policies.some(({ listed }) => listed !== null) ? 0.7 : 0.1, 5)
  const listed = policies.flatMap((policy, number) => (policy.listed === null ? [] : [number]))
  const deceived = random.chance(0.3) ? (random.pick(listed) ?? null) : null
  return { ...faults, policies, decisions, deceived }
}

/** Archives beside nodes that prune, nodes with a list beside those that keep all, now and then a small node. */
function policiesOf(random: Random, nodes: number, avatars: number): Policy[] {
  const archives = random.pick([0, 0.3, 0.6])
  const lists = random.pick([0, 0.4])
  const small = random.chance(0.25) ? 1 / nodes : 0
  return Array.from({ length: nodes }, () => ({
    archive: random.chance(0.06) ? 'sometimes' : random.chance(archives) ? 'always' : 'never',
    listed: random.chance(lists) ? someOf(random, avatars) : null,
    quotas: random.chance(small) ? quotasOf(random) : null,
    stepRecords: random.pick([1, 2, 5, 500]),
  }))
}

function someOf(random: Random, count: number): number[] {
  return Array.from({ length: count }, (_, number) => number).filter(() => random.chance(0.7))
}

function quotasOf(random: Random): Quotas {
  const some = (least: number, most: number): number => (random.chance(0.5) ? random.between(least, most) : 0)
  const quotas = {
    avatarBytes: some(1_000, 9_000),
    avatarRecords: some(3, 16),
    totalBytes: some(2_000, 14_000),
    totalRecords: some(4, 24),
  }
  return Object.values(quotas).some((limit) => limit > 0) ? quotas : { ...quotas, avatarRecords: 8 }
}

/** A line through all nodes in random order, and some more. */
function linksOf(random: Random, nodes: number): [number, number][] {
  const order = random.shuffled(Array.from({ length: nodes }, (_, node) => node))
  const links = order.slice(1).map((node, at): [number, number] => [order[at] as number, node])
  for (let extra = random.below(nodes); extra > 0; extra -= 1) {
    const [from, to] = [random.below(nodes), random.below(nodes)]
    const isThere = links.some(([a, b]) => (a === from && b === to) || (a === to && b === from))
    if (from !== to && !isThere) links.push([from, to])
  }
  return links
}
