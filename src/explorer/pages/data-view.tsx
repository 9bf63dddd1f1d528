import { useState } from 'preact/hooks'
import type { JsonValue, StateEntry, VerifiedAvatar } from '../../client/index.ts'
import { JsonView } from '../parts/json-view.tsx'
import { Copy, Hex } from '../parts/hex.tsx'
import { Loading, Notice } from '../parts/notice.tsx'
import { useDesk } from '../data/context.ts'
import { count, moment } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { useAnswer } from '../data/use-answer.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import { avatarHref } from '../routes.ts'

type Ready = Extract<AvatarView, { phase: 'ready' }>

export function DataView({ view }: { view: Ready }) {
  const { known, connection } = view
  return (
    <section aria-labelledby="data-title">
      <div class="section-head">
        <h2 id="data-title">Data</h2>
        <span class={`live ${connection}`}>{LIVE[connection]}</span>
      </div>
      {known.namespaces.length === 0 ? (
        <div class="empty">
          <p>This avatar holds nothing{known.records > 0 ? ' now' : ' yet'}.</p>
          <p>
            Is it yours? <a href={avatarHref(known.avatar, 'edit')}>Write something</a>.
          </p>
        </div>
      ) : (
        <>
          <p class="hint">Choose a key to see which patch set its value.</p>
          {known.namespaces.map((entry) => (
            <Namespace key={`${entry.platform}\n${entry.identity}`} entry={entry} known={known} />
          ))}
        </>
      )}
      <Facts known={known} />
    </section>
  )
}

const LIVE: Readonly<Record<Ready['connection'], string>> = {
  connecting: 'connecting…',
  live: 'live',
  lost: 'offline',
}

function Namespace({ entry, known }: { entry: StateEntry; known: VerifiedAvatar }) {
  const [chosen, setChosen] = useState<readonly string[] | undefined>(undefined)
  const { platform, identity, content } = entry
  const isOwn = platform === 'nextid'
  const name = isOwn ? 'Its own data' : `${platform} / ${identity}`
  return (
    <article class="card" aria-label={visible(name)}>
      <div class="section-head">
        <h3>{visible(name)}</h3>
        <span>
          <Copy text={JSON.stringify(content, null, 2)} label={`Copy the JSON of ${name}`} />
          <a class="button small" href={avatarHref(known.avatar, 'edit', { platform, identity })}>
            Edit<span class="visually-hidden"> {visible(name)}</span>
          </a>
        </span>
      </div>
      <div class="json-box">
        <JsonView
          value={content as JsonValue}
          chosen={chosen && JSON.stringify(chosen)}
          onKey={(path) => setChosen((before) => (JSON.stringify(before) === JSON.stringify(path) ? undefined : path))}
        />
      </div>
      {chosen !== undefined && <Origin known={known} entry={entry} path={chosen} />}
    </article>
  )
}

/** Which record set a value. */
function Origin({ known, entry, path }: { known: VerifiedAvatar; entry: StateEntry; path: readonly string[] }) {
  const { session } = useDesk()
  const pointer = path.map((each) => `/${each.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  const { platform, identity } = entry
  const answer = useAnswer(
    (signal) => session.client.provenance(known.avatar, platform, identity, pointer, { signal }),
    [known.digest, platform, identity, pointer],
  )
  return (
    <div class="origin" role="status">
      {answer.phase === 'loading' && <Loading what="Looking for the patch" />}
      {answer.phase === 'failed' && (
        <Notice tone="bad" title="That could not be found out">
          {answer.message}
        </Notice>
      )}
      {answer.phase === 'ready' && (
        <>
          <p>
            <code>{visible(pointer)}</code> {SAID[answer.value.kind]}
            {answer.value.by === 'snapshot' || answer.value.by === 'part'
              ? ' a snapshot, which stands for all that came before it'
              : answer.value.id !== null && ' this patch'}
            .
          </p>
          {answer.value.id !== null && (
            <p>
              <a href={avatarHref(known.avatar, 'history', { record: answer.value.id })}>
                Number {answer.value.counter}
                {answer.value.created_at !== null && `, signed ${moment(answer.value.created_at)}`}
              </a>{' '}
              <Hex value={answer.value.id} label="id of the record" />
            </p>
          )}
        </>
      )}
    </div>
  )
}

const SAID = {
  set: 'was set by',
  removed: 'was removed by',
  unset: 'was never written by a record that counts',
} as const

function Facts({ known }: { known: VerifiedAvatar }) {
  return (
    <dl class="facts">
      <dt>Network</dt>
      <dd>{known.network}</dd>
      <dt>Head</dt>
      <dd>number {known.head}</dd>
      <dt>Digest</dt>
      <dd>
        <Hex value={known.digest} label="digest" />
      </dd>
      <dt>Open ends</dt>
      <dd>{count(known.tips.length, 'record')} that nothing cites yet</dd>
      <dt>Base</dt>
      <dd>{known.base === null ? 'none: the whole history counts' : `a snapshot, number ${known.base.counter}`}</dd>
    </dl>
  )
}
