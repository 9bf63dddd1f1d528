import { Ago } from '../parts/ago.tsx'
import { Sparkline } from '../parts/chart.tsx'
import { Face } from '../parts/face.tsx'
import { Failure, Trouble } from '../parts/notice.tsx'
import { bytes, count, shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { followEvents } from '../data/follow-events.ts'
import { readStatus } from '../data/node-facts.ts'
import { readActivity, readNamed, type Change } from '../data/overview.ts'
import { useAnswer } from '../data/use-answer.ts'
import { NO_PROFILE } from '../data/use-profile.ts'
import { avatarHref } from '../routes.ts'

const REFRESH_MS = 30_000
/** Changes that are shown. */
const SHOWN = 6

/** What the host holds, and how much was written in the last 24 hours. */
export function NodeNumbers() {
  const answer = useAnswer(
    async (signal) => {
      const [status, activity] = await Promise.all([readStatus(signal), readActivity(signal)])
      return { status, ...activity }
    },
    [],
    REFRESH_MS,
    followEvents,
  )
  if (answer.phase === 'failed') return <Failure title="This host does not answer" message={answer.message} />
  const known = answer.phase === 'ready' ? answer.value : undefined
  const today = known?.hours.reduce((sum, each) => sum + each, 0) ?? 0
  return (
    <section class="numbers" aria-label="This host in numbers">
      <Trouble answer={answer} title="This host does not answer" />
      <dl>
        <Figure name="Avatars" value={known?.status.avatars.toLocaleString('en')} />
        <Figure name="Signed records" value={known?.status.records.toLocaleString('en')} />
        <Figure name="Stored" value={known && bytes(known.status.bytes)} />
        <Figure name="Peers" value={known?.status.peers.toLocaleString('en')} />
        <div class="figure wide">
          <dt>{known === undefined ? 'New in the last 24 hours' : spanOf(known.since)}</dt>
          <dd>
            {known === undefined ? (
              <span class="skeleton">0</span>
            ) : (
              <>
                <span>{today.toLocaleString('en')}</span>
                <Sparkline values={known.hours} label={`${count(today, 'record')} by the hour`} />
              </>
            )}
          </dd>
        </div>
      </dl>
    </section>
  )
}

/** The host counts from its start on. The first of 24 hours is not over. */
const DAY_S = 23 * 3_600

function spanOf(since: number): string {
  return Date.now() / 1_000 - since < DAY_S - 3_600 ? 'New since the start of the host' : 'New in the last 24 hours'
}

function Figure({ name, value }: { name: string; value: string | undefined }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>{value ?? <span class="skeleton">0,000</span>}</dd>
    </div>
  )
}

/** Which avatars changed last, as it happens. */
export function LatestActivity() {
  const answer = useAnswer(
    async (signal) => {
      const { changes } = await readActivity(signal)
      const shown = changes.slice(0, SHOWN)
      const profiles = await readNamed(
        shown.map(({ avatar }) => avatar),
        signal,
      )
      return shown.map((change) => ({ change, profile: profiles.get(change.avatar)?.profile ?? NO_PROFILE }))
    },
    [],
    REFRESH_MS,
    followEvents,
  )
  // The numbers above say that the host does not answer.
  if (answer.phase !== 'ready' || answer.value.length === 0) return null
  return (
    <section aria-labelledby="latest">
      <div class="section-head">
        <h2 id="latest">Latest activity</h2>
        <span class={answer.stale === undefined ? 'live live' : 'live lost'}>
          {answer.stale === undefined ? 'live' : 'not up to date'}
        </span>
      </div>
      <ol class="list activity">
        {answer.value.map(({ change, profile }) => (
          <li key={change.avatar}>
            <a href={avatarHref(change.avatar, 'history', { record: change.id })}>
              <Face avatar={change.avatar} profile={profile} />
              <span class="what">
                <bdi class="name" dir="auto">
                  {visible(profile.name ?? shortHex(change.avatar))}
                </bdi>
                <span class="did">{wordsOf(change)}</span>
              </span>
              {profile.name !== null && <code>{shortHex(change.avatar)}</code>}
              <When change={change} />
            </a>
          </li>
        ))}
      </ol>
    </section>
  )
}

function When({ change }: { change: Change }) {
  const at = change.stored_at ?? change.created_at
  return at === null ? <span /> : <Ago unixSeconds={at} />
}

function wordsOf({ type, platform, identity, keys }: Change): string {
  if (type === 'snapshot' || type === 'part') return 'replaced the history by a snapshot'
  if (keys.length === 0) return 'wrote a record'
  const where = platform === null || platform === 'nextid' ? '' : ` of ${platform}/${identity ?? ''}`
  return visible(`changed ${keys.slice(0, 3).join(', ')}${keys.length > 3 ? ' and more' : ''}${where}`)
}
