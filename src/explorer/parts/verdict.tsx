import type { NodeReport, ProblemCode, VerifiedAvatar } from '../../client/index.ts'
import { count, shortHex } from '../data/format.ts'
import { here } from '../data/here.ts'
import { Notice, type Tone } from './notice.tsx'

/** What lies about: not late, but false. */
const LIES: ReadonlySet<ProblemCode> = new Set([
  'bad_answer',
  'invalid_record',
  'foreign_record',
  'wrong_id',
  'repeats',
  'endless',
  'contradictory',
])

const STANDINGS: Readonly<Record<NodeReport['standing'], string>> = {
  equal: 'shows just this',
  behind: 'shows an older state',
  contradictory: 'contradicts its own records',
  unknown: 'does not have this avatar',
  failed: 'gave no answer that can be used',
}

/** What was found when the signatures were checked here, in words. */
export function Verdict({ known }: { known: VerifiedAvatar }) {
  const { tone, title, text } = judge(known)
  const words = [...new Set(known.problems.map(({ message }) => message))]
  return (
    <section class="verdict" aria-label="Verification">
      {(tone === 'bad' || known.missing.length === 0) && (
        <Notice tone={tone} title={title}>
          <p>{text}</p>
          {words.length > 0 && (
            <ul>
              {words.map((each) => (
                <li key={each}>{each}</li>
              ))}
            </ul>
          )}
        </Notice>
      )}
      {known.missing.length > 0 && (
        <Notice tone="warn" title={`Not up to date: a gap, ${count(known.missing.length, 'record')} missing`}>
          <p>
            {known.pending === 0
              ? 'A snapshot names parts that no host hands out.'
              : `${count(known.pending, 'signed patch builds', 'signed patches build')} on what no host hands out, and ${known.pending === 1 ? 'waits' : 'wait'} for it.`}{' '}
            What is shown is whole, but older: it follows from {count(known.records, 'signature')} checked here.
          </p>
          <ul>
            {known.missing.slice(0, 10).map((id) => (
              <li key={id}>
                <code title={id}>{shortHex(id)}</code>
              </li>
            ))}
          </ul>
        </Notice>
      )}
      {known.tips.length > 1 && (
        <Notice tone="info" title={`A fork: ${known.tips.length} devices wrote at once`}>
          <p>
            They had not seen each other’s writes. All of them count, in one order everywhere; the next change joins
            them.
          </p>
        </Notice>
      )}
      <details>
        <summary>What this means, and which hosts were asked</summary>
        <p>
          Every record carries its author’s signature. This page fetched {count(known.records, 'record')}, checked each
          signature in your browser, worked the content out of them, and compared it with what each host says. A host
          can keep the newest records back; it cannot change one, nor show a mixture. To notice one that keeps records
          back, compare with a second host below. The page itself came from this host: if you do not trust it with that,
          open the explorer of a host that you trust, and compare with this one from there.
        </p>
        <Hosts known={known} />
      </details>
    </section>
  )
}

function Hosts({ known }: { known: VerifiedAvatar }) {
  return (
    <div class="scroll" role="region" aria-label="Hosts" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Host</th>
            <th scope="col">Found</th>
            <th scope="col">Lacks</th>
          </tr>
        </thead>
        <tbody>
          {known.nodes.map(({ url, standing, lacks }) => (
            <tr key={url}>
              <th scope="row">
                {url}
                {url === here() && ' (this host)'}
              </th>
              <td>{STANDINGS[standing]}</td>
              <td>{lacks === null ? 'not known' : count(lacks, 'record')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** The worst comes first: a lie, a gap, an old state, and only then that all is well. */
function judge(known: VerifiedAvatar): { tone: Tone; title: string; text: string } {
  const { state, problems, nodes, records } = known
  const checked = `The content below follows from ${count(records, 'signature')} checked here, and from nothing else.`
  const liar = problems.find(({ code }) => LIES.has(code))
  if (liar !== undefined) {
    return {
      tone: 'bad',
      title: `Not verified: ${nameOf(liar.node)} does not tell the truth`,
      text: `${checked} What this host added or changed was left out; what it keeps back cannot be shown.`,
    }
  }
  const of = (wanted: NodeReport['standing']): string[] =>
    nodes.filter(({ standing }) => standing === wanted).map(({ url }) => url)
  const self = nodes.find(({ url }) => url === here())
  const newest = `${checked} It is the newest that all the hosts asked have together.`
  if (self?.standing === 'unknown' && records > 0) {
    return { tone: 'warn', title: 'This host does not have this avatar', text: newest }
  }
  const behind = of('behind')
  if (state === 'behind' || behind.length > 0) {
    const who = behind.find((url) => url === here()) ?? behind[0] ?? nodes[0]?.url ?? here()
    return { tone: 'warn', title: `${atStart(nameOf(who))} shows an older state`, text: newest }
  }
  if (self?.standing === 'failed') {
    return { tone: 'warn', title: 'Verified earlier; this host does not answer now', text: checked }
  }
  if (problems.length > 0) return { tone: 'warn', title: 'Verified, but not every host answered', text: checked }
  if (records === 0) {
    return {
      tone: 'info',
      title: 'Nothing is known of this avatar',
      text: 'No host that was asked has a record of it.',
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
  if (urls.length < 2) return `${atStart(nameOf(first))} shows just what they say.`
  return urls.length === asked ? `All ${asked} hosts show just this.` : `${urls.length} hosts show just this.`
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
