/** A condition variable: loops wait for the next `notify` and then check again what they wait for. */
export class Condition {
  #waiting: (() => void)[] = []

  /** Resolves at the next `notify`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  notify(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
