import type { Citation, JsonObject, RecordId } from '../../src/record/types.ts'
import { canonicalText } from './canonical-text.ts'

/** What every way of folding must agree on. */
interface FoldLike {
  readonly head: number
  readonly tips: readonly Citation[]
  readonly base: Citation | null
  readonly digest: string
  readonly pending: number
  readonly missing: readonly RecordId[]
  readonly live: number
  readonly namespaces: readonly { platform: string; identity: string; content: JsonObject }[]
}

/** A fold with its contents as text, so that comparing it does not trip over keys like `__proto__`. */
export function comparable(fold: FoldLike) {
  const place = ({ counter, id }: Citation) => ({ counter, id })
  return {
    head: fold.head,
    tips: fold.tips.map(place),
    base: fold.base === null ? null : place(fold.base),
    digest: fold.digest,
    pending: fold.pending,
    missing: [...fold.missing],
    live: fold.live,
    namespaces: fold.namespaces.map(({ platform, identity, content }) => ({
      platform,
      identity,
      content: canonicalText(content),
    })),
  }
}
