import type { Random } from './random.ts'
import type { Scenario } from './scenario.ts'
import type { Timeline } from './timeline.ts'

/** One direction of a connection. */
export interface Wire {
  readonly from: number
  readonly to: number
  /** Nothing passes. */
  isCut: boolean
  /** What is sent arrives only after this. */
  cloggedUntilMs: number
}

export type Faults = Pick<Scenario, 'loss' | 'duplication' | 'delayMs'>

/** How long a stream tries to get through a wire that is cut. */
const BREAK_MS = [1_000, 15_000] as const
const NO_FAULTS: Faults = { loss: 0, duplication: 0, delayMs: [1, 5] }

/** The connections of a simulated world. They lose, double, delay, reorder and hold back what they carry. */
export class Wires {
  readonly #timeline: Timeline
  readonly #random: Random
  readonly #wires: Wire[] = []
  #faults: Faults

  constructor(timeline: Timeline, random: Random, faults: Faults) {
    this.#timeline = timeline
    this.#random = random
    this.#faults = faults
  }

  connect(a: number, b: number): void {
    this.#wires.push({ from: a, to: b, isCut: false, cloggedUntilMs: 0 })
    this.#wires.push({ from: b, to: a, isCut: false, cloggedUntilMs: 0 })
  }

  all(): readonly Wire[] {
    return this.#wires
  }

  /** Nodes that this one is connected to. */
  neighbours(node: number): number[] {
    return this.#wires.filter(({ from }) => from === node).map(({ to }) => to)
  }

  /** Sends one message as gossip does: it arrives once, several times or never. */
  send(from: number, to: number, label: string, deliver: () => void): void {
    const wire = this.#wire(from, to)
    const copies = this.#random.chance(this.#faults.duplication) ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      if (wire.isCut || this.#random.chance(this.#faults.loss)) continue
      this.#timeline.after(this.#delay(wire), label, deliver)
    }
  }

  /** What becomes of one frame of a stream: when it arrives, or when the stream breaks instead. */
  frame(from: number, to: number): { readonly delayMs: number; readonly isLost: boolean } {
    const wire = this.#wire(from, to)
    // Streams send again what is lost: a cut wire breaks them after some time, a bad one now and then.
    if (wire.isCut) return { delayMs: this.#delay(wire) + this.#random.between(...BREAK_MS), isLost: true }
    return { delayMs: this.#delay(wire), isLost: this.#random.chance(this.#faults.loss / 10) }
  }

  /** From now on everything passes. */
  heal(): void {
    this.#faults = NO_FAULTS
    for (const wire of this.#wires) {
      wire.isCut = false
      wire.cloggedUntilMs = 0
    }
  }

  #delay(wire: Wire): number {
    const [least, most] = this.#faults.delayMs
    return Math.max(0, wire.cloggedUntilMs - this.#timeline.nowMs) + this.#random.between(least, most)
  }

  #wire(from: number, to: number): Wire {
    const wire = this.#wires.find((each) => each.from === from && each.to === to)
    if (wire === undefined) throw new Error(`There is no wire from ${from} to ${to}.`)
    return wire
  }
}
