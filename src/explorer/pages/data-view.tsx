import { useState } from 'preact/hooks'
import type { JsonObject, JsonValue, StateEntry, VerifiedAvatar } from '../../client/index.ts'
import { JsonView } from '../parts/json-view.tsx'
import { Copy, Hex } from '../parts/hex.tsx'
import { Origin } from '../parts/origin.tsx'
import { brief, count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { avatarHref } from '../routes.ts'
import { Contents } from './contents.tsx'
import { filtered } from '../data/filter.ts'

/** An avatar may have a content for each of thousands of accounts. */
const SHOWN_NAMESPACES = 50
/** Rows of a table, and characters of a raw text: what a browser draws without a pause. */
const SHOWN_ROWS = 500
const SHOWN_CHARACTERS = 200_000

const MODES = { tree: 'Tree', table: 'Table', raw: 'Raw' } as const
type Mode = keyof typeof MODES

interface Props {
  readonly avatar: string
  readonly namespaces: readonly StateEntry[]
  /** Undefined while what the host says is not checked yet. */
  readonly known: VerifiedAvatar | undefined
}

export function DataView({ avatar, namespaces, known }: Props) {
  const [shown, setShown] = useState(SHOWN_NAMESPACES)
  const [mode, setMode] = useState<Mode>('tree')
  const [filter, setFilter] = useState('')
  const more = namespaces.length - shown
  const visibleOnes = namespaces.slice(0, shown).flatMap((entry) => {
    const content =
      filter.trim() === '' ? entry.content : filtered(entry.content, filter, `${entry.platform}/${entry.identity}`)
    return content === undefined ? [] : [{ ...entry, content }]
  })
  if (namespaces.length === 0) return <NoData avatar={avatar} known={known} />
  return (
    <section aria-labelledby="data-title" class={known === undefined ? 'unchecked' : undefined}>
      <h2 id="data-title" class="visually-hidden">
        Data
      </h2>
      <div class="data">
        <Contents namespaces={namespaces} />
        <div>
          <div class="data-tools">
            <label for="data-filter" class="visually-hidden">
              Filter keys and values
            </label>
            <input
              id="data-filter"
              type="search"
              placeholder="Filter keys and values"
              value={filter}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => setFilter(event.currentTarget.value)}
            />
            <div class="choice" role="group" aria-label="How the data is shown">
              {Object.entries(MODES).map(([key, name]) => (
                <button key={key} type="button" aria-pressed={mode === key} onClick={() => setMode(key as Mode)}>
                  {name}
                </button>
              ))}
            </div>
          </div>
          {visibleOnes.map((entry) => (
            <Namespace
              // What was not checked yet is replaced in place.
              key={`${entry.platform}\n${entry.identity}`}
              avatar={avatar}
              entry={entry}
              known={known}
              mode={mode}
              isFiltered={filter.trim() !== ''}
            />
          ))}
          {visibleOnes.length === 0 && <p class="empty">No key and no value has “{filter}” in it.</p>}
          {more > 0 && (
            <p class="actions">
              <button type="button" onClick={() => setShown(shown + SHOWN_NAMESPACES)}>
                Show more accounts ({more.toLocaleString('en')} more)
              </button>
            </p>
          )}
          {known !== undefined && <p class="hint data-hint">Choose a key to see which patch set its value.</p>}
          {known !== undefined && <Facts known={known} />}
        </div>
      </div>
    </section>
  )
}

function NoData({ avatar, known }: { avatar: string; known: VerifiedAvatar | undefined }) {
  return (
    <div class="empty">
      <p>This avatar holds nothing{(known?.records ?? 0) > 0 ? ' now' : ' yet'}.</p>
      <p>
        Is it yours? <a href={avatarHref(avatar, 'edit')}>Write something</a>.
      </p>
    </div>
  )
}

interface NamespaceProps extends Pick<Props, 'avatar' | 'known'> {
  readonly entry: StateEntry
  readonly mode: Mode
  readonly isFiltered: boolean
}

function Namespace({ avatar, entry, known, mode, isFiltered }: NamespaceProps) {
  const [chosen, choose] = useState<readonly string[] | undefined>(undefined)
  const { platform, identity, content } = entry
  const name = platform === 'nextid' ? 'Profile data' : `${platform} / ${identity}`
  return (
    <article class="namespace" aria-label={visible(name)}>
      <div class="section-head">
        <h3>{visible(name)}</h3>
        <span>
          <Copy text={() => JSON.stringify(content, null, 2)} label={`Copy the JSON of ${visible(name)}`} />
          <a class="button small quiet" href={avatarHref(avatar, 'edit', { platform, identity, as: 'json' })}>
            Edit<span class="visually-hidden"> {visible(name)}</span>
          </a>
        </span>
      </div>
      {mode === 'tree' && (
        <div class="json-box">
          <JsonView
            key={String(isFiltered)}
            value={content as JsonValue}
            {...(isFiltered ? { unfoldedTo: Infinity } : {})}
            {...(known !== undefined && {
              detail: {
                path: chosen,
                choose,
                render: (path: readonly string[], close: () => void) => (
                  <Origin key={path.join('\n')} known={known} entry={entry} path={path} close={close} />
                ),
              },
            })}
          />
        </div>
      )}
      {mode === 'table' && <Table content={content} name={visible(name)} />}
      {mode === 'raw' && <Raw content={content} />}
    </article>
  )
}

/** Top-level keys with their values on one line. */
function Table({ content, name }: { content: JsonObject; name: string }) {
  const rows = Object.entries(content)
  return (
    <div class="json-box scroll" role="region" aria-label={`Table of ${name}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">Value</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, SHOWN_ROWS).map(([key, value]) => (
            <tr key={key}>
              <th scope="row">{visible(key)}</th>
              <td>{visible(brief(value))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > SHOWN_ROWS && <p class="hint">and {count(rows.length - SHOWN_ROWS, 'more key')}</p>}
    </div>
  )
}

function Raw({ content }: { content: JsonObject }) {
  const text = JSON.stringify(content, null, 2)
  return (
    <pre tabIndex={0} aria-label="Raw JSON">
      {visible(text.slice(0, SHOWN_CHARACTERS))}
      {text.length > SHOWN_CHARACTERS &&
        `… and ${count(text.length - SHOWN_CHARACTERS, 'more character')}. Copy gives all.`}
    </pre>
  )
}

function Facts({ known }: { known: VerifiedAvatar }) {
  return (
    <details class="technical">
      <summary>Technical facts</summary>
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
    </details>
  )
}
