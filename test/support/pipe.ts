import type { FrameStream } from '../../src/sync/types.ts'

/** Two ends of a stream in memory. */
export function memoryPipe(): [FrameStream, FrameStream] {
  const end = () => {
    const frames: (Uint8Array | null)[] = []
    let wake = (): void => undefined
    let failure: Error | undefined
    return {
      put(frame: Uint8Array | null) {
        frames.push(frame)
        wake()
      },
      fail(error: Error) {
        failure = error
        wake()
      },
      async take(): Promise<Uint8Array | null> {
        while (frames.length === 0) {
          if (failure !== undefined) throw failure
          await new Promise<void>((resolve) => (wake = resolve))
        }
        return frames.shift() ?? null
      },
    }
  }
  const [a, b] = [end(), end()]
  const side = (mine: typeof a, other: typeof a): FrameStream => ({
    send: async (frame) => other.put(frame),
    receive: () => mine.take(),
    close: async () => other.put(null),
    abort(reason) {
      mine.fail(reason)
      other.fail(reason)
    },
  })
  return [side(a, b), side(b, a)]
}
