/** The result of checking the records of an avatar in this browser, in words. */
import type { NodeReport, ProblemCode, VerifiedAvatar } from '../../client/index.ts'
import type { Tone } from '../parts/notice.tsx'
import { clock, count } from './format.ts'
import { here } from './here.ts'
import type { AvatarView } from './use-avatar.ts'

export interface Statement {
  readonly tone: Tone
  readonly title: string
  readonly text: string
  /** Details, one a line. */
  readonly lines?: readonly string[]
}

/** Problems that no honest host has: its answer is false, not only old. */
const LIES: ReadonlySet<ProblemCode> = new Set([
  'bad_answer',
  'invalid_record',
  'foreign_record',
  'wrong_id',
  'repeats',
  'endless',
  'contradictory',
])
const SHOWN_MISSING = 10

/** All statements about the content that is shown, in no order. */
export function statementsOf(view: Extract<AvatarView, { phase: 'ready' }>): readonly Statement[] {
  const { known } = view
  const statements: Statement[] = []
  const verdict = judge(known)
  const isOffline = view.connection === 'lost'
  if (isOffline) statements.push(offline(view))
  // If the host cannot be reached, the content may be old: that statement has the good news in it.
  const isGood = verdict.tone === 'good'
  if (!(isOffline && isGood) && (verdict.tone === 'bad' || known.missing.length === 0)) statements.push(verdict)
  if (known.missing.length > 0) statements.push(gap(known))
  if (known.tips.length > 1) {
    statements.push({
      tone: 'info',
      title: `A fork: ${known.tips.length} changes at the same time`,
      text: 'None of them builds on another. All of them count, in the same order everywhere. The next change joins them.',
    })
  }
  return statements
}

function offline({ known, verifiedAt, trouble }: Extract<AvatarView, { phase: 'ready' }>): Statement {
  const when = `The content below was verified in your browser at ${clock(verifiedAt)}: ${count(known.records, 'signature')}.`
  return {
    tone: 'warn',
    title:
      trouble === undefined ? 'Offline: this host cannot be reached' : 'Not live: this host does not follow the avatar',
    text: `${when} The host may have newer content. This page updates by itself once the host answers.`,
    ...(trouble === undefined ? {} : { lines: [trouble] }),
  }
}

function gap(known: VerifiedAvatar): Statement {
  const { missing, pending } = known
  const why =
    pending === 0
      ? 'A snapshot names parts that no host has.'
      : `${count(pending, 'signed patch builds', 'signed patches build')} on records that no host has, and ${pending === 1 ? 'waits' : 'wait'} for them.`
  const more = missing.length - SHOWN_MISSING
  return {
    tone: 'warn',
    title: `Not up to date: a gap, ${count(missing.length, 'record')} missing`,
    text: `${why} The content below is complete but older: it follows from ${count(known.records, 'signature')} checked here.`,
    lines: [...missing.slice(0, SHOWN_MISSING), ...(more > 0 ? [`and ${more.toLocaleString('en')} more`] : [])],
  }
}

/** The worst statement: a lie, an old state, a host that fails, or that all is well. */
function judge(known: VerifiedAvatar): Statement {
  const { state, problems, nodes, records } = known
  const lines = [...new Set(problems.map(({ message }) => message))]
  const checked = `The content below follows from ${count(records, 'signature')} checked here, and from nothing else.`
  const liar = problems.find(({ code }) => LIES.has(code))
  if (liar !== undefined) {
    return {
      tone: 'bad',
      title: `Not verified: ${nameOf(liar.node)} does not tell the truth`,
      text: `${checked} What this host added or changed was left out. What it holds back cannot be shown: compare with another host.`,
      lines,
    }
  }
  const of = (wanted: NodeReport['standing']): string[] =>
    nodes.filter(({ standing }) => standing === wanted).map(({ url }) => url)
  const self = nodes.find(({ url }) => url === here())
  const newest = `${checked} It is the newest state that the hosts have together.`
  if (self?.standing === 'unknown' && records > 0) {
    return { tone: 'warn', title: 'This host does not have this avatar', text: newest, lines }
  }
  const behind = of('behind')
  if (state === 'behind' || behind.length > 0) {
    const who = behind.find((url) => url === here()) ?? behind[0] ?? nodes[0]?.url ?? here()
    return { tone: 'warn', title: `${atStart(nameOf(who))} shows an older state`, text: newest, lines }
  }
  if (self?.standing === 'failed') {
    return { tone: 'warn', title: 'Checked without this host: it does not answer', text: checked, lines }
  }
  if (problems.length > 0) return { tone: 'warn', title: 'Checked, but not every host answered', text: checked, lines }
  if (records === 0) {
    return {
      tone: 'info',
      title: 'Nothing is known of this avatar',
      text: 'None of the hosts that were asked has a record of it.',
    }
  }
  return {
    tone: 'good',
    title: `Verified in your browser: ${count(records, 'signature')}`,
    text: [showing(of('equal'), nodes.length), ...of('unknown').map(lacking)].join(' '),
  }
}

function showing(urls: readonly string[], asked: number): string {
  const [first = here()] = urls
  if (urls.length < 2) return `${atStart(nameOf(first))} shows exactly this state.`
  return urls.length === asked
    ? `All ${asked} hosts show exactly this state.`
    : `${urls.length} hosts show exactly this state.`
}

function lacking(url: string): string {
  return `${atStart(nameOf(url))} does not have this avatar.`
}

function atStart(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function nameOf(url: string): string {
  return url === here() ? 'this host' : `the host ${url.replace(/^https?:\/\//, '')}`
}
