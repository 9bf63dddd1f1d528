import { createHash } from 'node:crypto'

interface Entry {
  readonly atMs: number
  readonly sequence: number
  readonly label: string
  readonly run: () => void
  isCancelled: boolean
}

/**
 * Virtual time: one heap of events, ordered by time and then by when they were scheduled. Everything that happens in a
 * simulated world begins with one of them, and the hash of their labels is the hash of the run.
 */
export class Timeline {
  #nowMs = 0
  #sequence = 0
  #events = 0
  readonly #heap: Entry[] = []
  readonly #hash = createHash('sha256')
  readonly #print: ((line: string) => void) | undefined

  /** @param print takes every line of the trace; without it they are only hashed */
  constructor(print?: (line: string) => void) {
    this.#print = print
  }

  /** Milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events that have happened. */
  get events(): number {
    return this.#events
  }

  /** Schedules an event; the returned function cancels it. */
  after(delayMs: number, label: string, run: () => void): () => void {
    const atMs = this.#nowMs + Math.max(0, Math.round(delayMs))
    const entry: Entry = { atMs, sequence: this.#sequence, label, run, isCancelled: false }
    this.#sequence += 1
    this.#push(entry)
    return () => {
      entry.isCancelled = true
    }
  }

  sleep(delayMs: number, label: string): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, label, resolve)
    })
  }

  /** Notes what came of something: part of the trace and of its hash. */
  note(line: string): void {
    this.#hash.update(`${this.#nowMs} ${line}\n`)
    this.#print?.(`${this.#nowMs} ${line}`)
  }

  /** Prints what is no part of the run's hash. */
  comment(line: string): void {
    this.#print?.(`${this.#nowMs} # ${line}`)
  }

  get isPrinting(): boolean {
    return this.#print !== undefined
  }

  /** Lets the next event up to `untilMs` happen; false if there is none, and then that time has come. */
  step(untilMs: number): boolean {
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= untilMs; first = this.#heap[0]) {
      this.#pop()
      if (first.isCancelled) continue
      this.#nowMs = first.atMs
      this.#events += 1
      this.note(first.label)
      first.run()
      return true
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
    return false
  }

  traceHash(): string {
    return this.#hash.copy().digest('hex').slice(0, 16)
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (!isBefore(entry, heap[parent] as Entry)) break
      heap[at] = heap[parent] as Entry
      at = parent
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const moved = heap.pop() as Entry
    if (heap.length === 0) return
    let at = 0
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child += 1
      if (!isBefore(heap[child] as Entry, moved)) break
      heap[at] = heap[child] as Entry
      at = child
    }
    heap[at] = moved
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}
