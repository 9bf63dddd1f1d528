/** Lets loops sleep until something has changed. Who waits looks again at what it waits for. */
export class Notice {
  #waiting: (() => void)[] = []

  /** Resolves at the next `give`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
