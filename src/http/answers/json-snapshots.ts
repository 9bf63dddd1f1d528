/** The JSON text of an answer, built around a read snapshot of the store. */
import type { AvatarSummary, JsonSnapshot, LinkedSnapshot, ViewSnapshot } from '../../store/types.ts'

/** Returns the JSON text of `GET /v2/avatars/{avatar}` for a read snapshot. */
export function documentOf(view: ViewSnapshot, network: string): ViewSnapshot {
  return { summary: view.summary, ...between(aboutOf(view.summary, network), view, '}') }
}

/** Returns the JSON text of `GET /v2/avatars/{avatar}?linked=true` for a read snapshot. */
export function linkedDocumentOf(view: LinkedSnapshot, network: string): LinkedSnapshot {
  const { summary, links, linkedDigest } = view
  return { summary, links, linkedDigest, ...between(aboutLinked(view, network), view, '}') }
}

/** Returns the beginning of the document, up to its namespaces. */
export function aboutOf(summary: AvatarSummary, network: string): Buffer {
  return beginning(membersOf(summary, network))
}

/** Returns the beginning of the document with the linked view, up to its namespaces. */
export function aboutLinked(
  { summary, links, linkedDigest }: Pick<LinkedSnapshot, 'summary' | 'links' | 'linkedDigest'>,
  network: string,
): Buffer {
  const shown = links.map(({ key, avatar, label, digest }) => ({ key, avatar, label, digest }))
  return beginning({ ...membersOf(summary, network), linked_digest: linkedDigest, links: shown })
}

function membersOf(
  { avatar, head, tips, tipsTotal, base, digest, pending, missing }: AvatarSummary,
  network: string,
): object {
  return { avatar, network, head, tips, tips_total: tipsTotal, base, digest, pending, missing }
}

const beginning = (members: object): Buffer => Buffer.from(`${JSON.stringify(members).slice(0, -1)},"namespaces":`)

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
