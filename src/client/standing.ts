import type { RecordId } from '../record/types.ts'
import { foldRecords } from '../state/fold.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import type { NodeReport, NodeStanding, Problem, VerifiedAvatar, VerifiedState } from './types.ts'

/** What is known of one node while an avatar is read. */
export interface NodeView {
  readonly api: NodeApi
  outcome: 'asked' | 'read' | 'unknown' | 'failed'
  /** What it says that it shows; the head only where a receipt told it. */
  claim: { readonly digest: string; readonly head: number | null } | null
  /** Ids of all records that it hands out, where that is known. */
  ids: ReadonlySet<RecordId> | null
  readonly problems: Problem[]
}

/** What the verified records make, and how the nodes stand to it. */
export function reportOn(local: LocalAvatar, views: readonly NodeView[]): VerifiedAvatar {
  const state = local.snapshot()
  const nodes = views.map((view) => reportOnNode(local, view))
  const problems = views.flatMap((view, at) => [...view.problems, ...problemsOf(view, nodes[at])])
  const verdict = verdictOf(state.missing.length, local.size, nodes)
  return { avatar: local.avatar, network: local.network, state: verdict, ...state, nodes, problems }
}

/**
 * Whether a change that is made of this may be made of nothing where there is something: nobody answered; or nothing of the
 * avatar is known, and fewer than half of the nodes say that there is nothing. It would sort below what the others have.
 */
export function isSeenByTooFew({ nodes, records }: VerifiedAvatar): boolean {
  if (records > 0) return nodes.every(({ standing }) => standing === 'failed')
  return nodes.filter(({ standing }) => standing === 'unknown' || standing === 'equal').length * 2 < nodes.length
}

/** For people: why nothing is changed now. */
export function tooFewText({ nodes, records, problems }: VerifiedAvatar): string {
  const why = problems[0]?.message ?? 'No node answered.'
  if (records > 0 || nodes.every(({ standing }) => standing === 'failed')) return why
  return (
    `Too few nodes say that there is nothing of this avatar yet, and what others have could hide a change made now. ` +
    `Try again later, or leave out nodes that are gone. ${why}`
  )
}

function verdictOf(missing: number, records: number, nodes: readonly NodeReport[]): VerifiedState {
  if (missing > 0) return 'missing'
  if (nodes.some(({ standing }) => standing === 'equal')) return 'verified'
  // One that did not answer may know it.
  const nobodyKnows = records === 0 && nodes.every(({ standing }) => standing === 'unknown')
  return nobodyKnows ? 'verified' : 'behind'
}

function reportOnNode(local: LocalAvatar, { api, outcome, claim, ids }: NodeView): NodeReport {
  const report = (standing: NodeStanding, head: number | null, lacks: number | null): NodeReport => ({
    url: api.url,
    standing,
    head,
    digest: claim?.digest ?? null,
    lacks,
  })
  if (outcome === 'unknown') return report('unknown', 0, local.size)
  if (outcome === 'failed' || claim === null) return report('failed', null, null)
  if (claim.digest === local.digest) return report('equal', local.head, 0)
  if (ids === null) return report('behind', claim.head, null)
  const handedOut = [...ids].map((id) => local.get(id)).filter((record) => record !== undefined)
  const lacks = local.size - handedOut.length
  // Below another base its records were not looked at: it is behind in any case.
  if (local.base !== null && !ids.has(local.base.id)) return report('behind', claim.head, lacks)
  const fold = foldRecords(local.avatar, handedOut)
  return report(fold.digest === claim.digest ? 'behind' : 'contradictory', fold.head, lacks)
}

function problemsOf({ api, problems }: NodeView, report: NodeReport | undefined): Problem[] {
  const say = (code: 'behind' | 'contradictory', message: string): Problem[] => [
    { node: api.url, code, message: `The node at ${api.url} ${message}` },
  ]
  if (report?.standing === 'behind') {
    const lacks = report.lacks === null ? 'something' : `${report.lacks} ${report.lacks === 1 ? 'record' : 'records'}`
    return say('behind', `shows an older state: it lacks ${lacks} of what is known.`)
  }
  if (report?.standing === 'contradictory') {
    return say(
      'contradictory',
      'says that it shows another state than that of the records which it hands out: it, or something on the way, ' +
        'keeps records back or changes them.',
    )
  }
  if (report?.standing === 'failed' && problems.length === 0) {
    return [{ node: api.url, code: 'unreachable', message: `The node at ${api.url} did not answer a moment ago.` }]
  }
  return []
}
