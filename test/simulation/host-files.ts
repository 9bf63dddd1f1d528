import { HostingError } from '../../src/hosting/errors.ts'
import type { Journal } from '../../src/hosting/journal.ts'
import { Register, type HostingChange } from '../../src/hosting/register.ts'
import type { Random } from './random.ts'

/** The disk under the files. */
export interface HostFilesDisk {
  /** Resolves when the disk has done its part; never, once the process is dead. */
  readonly write: () => Promise<void> | undefined
  readonly isFailing: () => boolean
}

/** What an operator has written down about hosting: it outlives processes. */
export class HostFiles implements Journal {
  #sure: readonly HostingChange[] = []
  /** What is being written: after a crash it may be there or not. */
  #doubtful: readonly HostingChange[] | undefined
  #disk: HostFilesDisk | undefined
  lines = 0

  /** What stands there before the first start. */
  begin(changes: readonly HostingChange[]): void {
    this.#sure = changes
  }

  crash(random: Random): void {
    if (this.#doubtful !== undefined && random.chance(0.5)) this.#sure = this.#doubtful
    this.#doubtful = undefined
  }

  /** A process begins to work with them. @returns what they say */
  open(disk: HostFilesDisk): Register {
    this.#disk = disk
    const register = new Register()
    for (const change of this.#sure) register.apply(change)
    return register
  }

  async append(changes: readonly HostingChange[]): Promise<void> {
    await this.#put([...this.#sure, ...changes])
    this.lines += 1
  }

  async rewrite(changes: Iterable<HostingChange>): Promise<void> {
    await this.#put([...changes])
    this.lines = 1
  }

  async close(): Promise<void> {}

  async #put(all: readonly HostingChange[]): Promise<void> {
    this.#doubtful = all
    await this.#disk?.write()
    this.#doubtful = undefined
    if (this.#disk?.isFailing() === true) throw new HostingError('failed', 'the simulated disk failed')
    this.#sure = all
  }
}
