/** Small pieces are joined into chunks of this size. Larger pieces are returned without a copy. */
const CHUNK_BYTES = 64 * 1_024

/** Joins small pieces of text into chunks. */
export class Joiner {
  #pieces: Uint8Array[] = []
  #bytes = 0

  text(text: string): void {
    this.#push(Buffer.from(text))
  }

  /** @returns the chunks that are complete */
  *add({ before, fragment }: { before: string; fragment: Uint8Array }): Generator<Uint8Array> {
    this.text(before)
    if (this.#bytes + fragment.length < CHUNK_BYTES) return this.#push(fragment)
    yield this.take()
    if (fragment.length < CHUNK_BYTES) this.#push(fragment)
    else yield fragment
    return undefined
  }

  take(): Uint8Array {
    const taken = Buffer.concat(this.#pieces, this.#bytes)
    this.#pieces = []
    this.#bytes = 0
    return taken
  }

  #push(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
  }
}
