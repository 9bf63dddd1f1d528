import { useState } from 'preact/hooks'
import type { JsonValue, StateEntry, VerifiedAvatar } from '../../client/index.ts'
import { JsonView } from '../parts/json-view.tsx'
import { Copy, Hex } from '../parts/hex.tsx'
import { Origin } from '../parts/origin.tsx'
import { count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import { avatarHref } from '../routes.ts'

/** An avatar may have a content for each of thousands of accounts. */
const SHOWN_NAMESPACES = 50

type Ready = Extract<AvatarView, { phase: 'ready' }>

export function DataView({ view }: { view: Ready }) {
  const { known, connection } = view
  const [shown, setShown] = useState(SHOWN_NAMESPACES)
  const more = known.namespaces.length - shown
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
          {known.namespaces.slice(0, shown).map((entry) => (
            <Namespace key={`${entry.platform}\n${entry.identity}`} entry={entry} known={known} />
          ))}
          {more > 0 && (
            <button type="button" onClick={() => setShown(shown + SHOWN_NAMESPACES)}>
              Show more accounts ({more.toLocaleString('en')} more)
            </button>
          )}
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
  const [chosen, choose] = useState<readonly string[] | undefined>(undefined)
  const { platform, identity, content } = entry
  const isOwn = platform === 'nextid'
  const name = isOwn ? 'Profile data' : `${platform} / ${identity}`
  return (
    <article class="card" aria-label={visible(name)}>
      <div class="section-head">
        <h3>{visible(name)}</h3>
        <span>
          <Copy text={() => JSON.stringify(content, null, 2)} label={`Copy the JSON of ${visible(name)}`} />
          <a class="button small" href={avatarHref(known.avatar, 'edit', { platform, identity })}>
            Edit<span class="visually-hidden"> {visible(name)}</span>
          </a>
        </span>
      </div>
      <div class="json-box">
        <JsonView
          value={content as JsonValue}
          detail={{
            path: chosen,
            choose,
            render: (path, close) => (
              <Origin key={path.join('\n')} known={known} entry={entry} path={path} close={close} />
            ),
          }}
        />
      </div>
    </article>
  )
}

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
      <dt>Tips</dt>
      <dd>{count(known.tips.length, 'record')} that no other record cites yet</dd>
      <dt>Base</dt>
      <dd>{known.base === null ? 'none: the whole history counts' : `a snapshot, number ${known.base.counter}`}</dd>
    </dl>
  )
}
