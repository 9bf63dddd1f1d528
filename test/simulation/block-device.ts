import type { Random } from './random.ts'
import { SortedMap } from './sorted-map.ts'

export interface Change {
  readonly key: string
  /** Undefined deletes. */
  readonly value: Uint8Array | undefined
}

/** The machine's disk, with LevelDB's contract: batches are whole or absent, and what was synced survives a crash. */
export class BlockDevice {
  /** What is surely there after a crash, then what each later batch without fsync made of it. */
  #versions: [SortedMap, ...SortedMap[]] = [SortedMap.EMPTY]
  /** Batches under way, in order: a crash may lose them or not. */
  readonly #open = new Set<readonly Change[]>()
  /** A batch whose fsync failed: nobody knows whether it is there, before the database is opened again. */
  #doubtful: readonly Change[] | undefined
  #isFailing = false
  /** LevelDB takes no write after a failed one until it is opened again. */
  #isStuck = false

  get current(): SortedMap {
    return this.#versions.at(-1) as SortedMap
  }

  /** Whether writes fail now. */
  get isFailing(): boolean {
    return this.#isFailing || this.#isStuck
  }

  /** From now on writes fail. */
  fail(): void {
    this.#isFailing = true
  }

  /** The disk works again; a database that is open stays stuck until it is opened anew. */
  repair(): void {
    this.#isFailing = false
  }

  begin(batch: readonly Change[]): void {
    this.#open.add(batch)
  }

  /** @throws Error where the disk fails */
  finish(batch: readonly Change[], sync: boolean): void {
    this.#open.delete(batch)
    if (this.#isFailing && !this.#isStuck) this.#doubtful = batch
    if (this.#isFailing) this.#isStuck = true
    if (this.#isStuck) throw new Error('EIO: the simulated disk failed')
    const next = apply(this.current, batch)
    if (sync) this.#versions = [next]
    else this.#versions.push(next)
  }

  /** The process or the machine went down: from the end, anything not synced may be gone. */
  crash(random: Random): void {
    const versions = [...this.#versions]
    const unsure = this.#doubtful === undefined ? this.#open : [this.#doubtful]
    for (const batch of unsure) versions.push(apply(versions.at(-1) as SortedMap, batch))
    this.#open.clear()
    this.#doubtful = undefined
    this.#isStuck = false
    this.#versions = [versions[random.below(versions.length)] as SortedMap]
  }

  /** Opened again by a new process after a clean end of the one before, which loses nothing. */
  reopen(random: Random): void {
    if (this.#isStuck) this.crash(random)
  }

  /** Changes a stored row behind the back of everyone. */
  damage(key: string, value: Uint8Array | undefined): void {
    const change = (map: SortedMap): SortedMap => (map.get(key) === undefined ? map : apply(map, [{ key, value }]))
    const [first, ...others] = this.#versions
    this.#versions = [change(first), ...others.map(change)]
  }

  wipe(): void {
    this.#versions = [SortedMap.EMPTY]
    this.#open.clear()
    this.#doubtful = undefined
    this.#isStuck = false
  }
}

function apply(map: SortedMap, batch: readonly Change[]): SortedMap {
  return batch.reduce(
    (result, { key, value }) => (value === undefined ? result.delete(key) : result.set(key, value)),
    map,
  )
}
