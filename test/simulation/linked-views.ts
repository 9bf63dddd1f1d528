import { createViewCache, type ViewCache } from '../../src/http/answers/view-cache.ts'
import type { Avatar } from '../../src/record/types.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import type { HeldRecord } from '../oracle/naive-fold.ts'
import { naiveLinkedView } from '../oracle/naive-links.ts'
import type { Ledger } from './ledger.ts'
import type { SimulatedNode } from './node.ts'
import type { Process } from './process.ts'
import { Violation } from './violation.ts'

const ALL = 1_000_000
const CACHE_BYTES = 1_000_000

/** The cache of answers of each process, which lives as long as the process. */
const caches = new WeakMap<Process, ViewCache>()

function viewsOf(process: Process): ViewCache {
  let views = caches.get(process)
  if (views === undefined) {
    const isShown = (avatar: Avatar): boolean => process.hosting.hosts(avatar)
    views = createViewCache(process.store, { maxBytes: CACHE_BYTES, network: 'main', isShown })
    const made = views
    process.hosting.onChange(({ changed }) => {
      for (const avatar of changed) made.drop(avatar)
    })
    caches.set(process, views)
  }
  return views
}

/** Every linked view that a node shows is that of the records which it holds and shows: also if it was cached. */
export async function checkLinkedViews(node: SimulatedNode, process: Process, ledger: Ledger): Promise<void> {
  const { store, hosting } = process
  const views = viewsOf(process)
  for (const avatar of await store.avatars({ limit: ALL })) {
    const links = hosting.hosts(avatar) ? await store.links(avatar) : []
    if (links.length === 0) continue
    const before = node.corruptions
    const view = await views.loadLinked(avatar)
    const held: HeldRecord[] = []
    for (const each of new Set([avatar, ...links.map((link) => link.avatar)])) {
      const page = hosting.hosts(each) ? await store.records(each, { after: 0, limit: ALL }) : undefined
      for (const record of page?.records ?? []) held.push({ id: record.id, body: ledger.body(record) })
    }
    if (node.corruptions !== before || view === undefined || view === 'large') continue
    const expected = naiveLinkedView(avatar, held)
    const shown = JSON.parse(view.body.toString('utf8')) as {
      linked_digest: string
      namespaces: typeof expected.namespaces
    }
    const text = (digest: string, { namespaces }: Pick<typeof shown, 'namespaces'>): string =>
      [digest, ...namespaces.map((each) => `${each.platform} ${each.identity} ${canonicalText(each.content)}`)].join(
        '\n',
      )
    const [is, shouldBe] = [text(shown.linked_digest, shown), text(expected.linkedDigest, expected)]
    if (is !== shouldBe) {
      throw new Violation('a linked view is not that of its records', `${node.name} ${avatar}\n${is}\n${shouldBe}`)
    }
  }
}
