/** The JSON text of an answer, built around a read snapshot of the store. */
import type { AvatarSummary, JsonSnapshot, ViewSnapshot } from '../../store/types.ts'

/** Returns the JSON text of `GET /v2/avatars/{avatar}` for a read snapshot. */
export function documentOf(view: ViewSnapshot, network: string): ViewSnapshot {
  return { summary: view.summary, ...between(aboutOf(view.summary, network), view, '}') }
}

/** Returns the beginning of the document, up to its namespaces. */
export function aboutOf(summary: AvatarSummary, network: string): Buffer {
  const { avatar, head, tips, tipsTotal, base, digest, pending, missing } = summary
  const about = JSON.stringify({ avatar, network, head, tips, tips_total: tipsTotal, base, digest, pending, missing })
  return Buffer.from(`${about.slice(0, -1)},"namespaces":`)
}

/** Returns a snapshot with text before and after it. */
export function between(before: Uint8Array | string, readSnapshot: JsonSnapshot, after: string): JsonSnapshot {
  return {
    async *read() {
      yield Buffer.from(before)
      yield* readSnapshot.read()
      yield Buffer.from(after)
    },
    close: () => readSnapshot.close(),
  }
}

/** Bytes in memory. */
export function inMemory(bytes: Uint8Array): JsonSnapshot {
  return written(async function* () {
    yield bytes
  })
}

/** Text that is generated while it is read, with no resource to close. */
export function written(read: () => AsyncGenerator<Uint8Array>): JsonSnapshot {
  return { read, close: () => Promise.resolve() }
}
