import { useState } from 'preact/hooks'
import type { JsonValue } from '../../client/index.ts'
import { visible } from '../data/format-visible.ts'

/** Members shown at first; a content may have 10,000. */
const SHOWN_MEMBERS = 100

interface Props {
  readonly value: JsonValue
  /** Where it stands, as keys. */
  readonly path?: readonly string[]
  /** Makes keys buttons. */
  readonly onKey?: ((path: readonly string[]) => void) | undefined
  /** The path that is chosen. */
  readonly chosen?: string | undefined
}

/** JSON for people: indented, keys apart from values, nothing hidden in it. */
export function JsonView({ value, path = [], onKey, chosen }: Props) {
  if (Array.isArray(value)) {
    if (value.length === 0) return <span class="j-mark">[ ]</span>
    return (
      <Members entries={value.map((each, at) => [String(at), each])} path={path} marks={['[', ']']} chosen={chosen} />
    )
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
    if (entries.length === 0) return <span class="j-mark">{'{ }'}</span>
    return <Members entries={entries} path={path} marks={['{', '}']} onKey={onKey} chosen={chosen} isObject />
  }
  return <span class={`j-${value === null ? 'null' : typeof value}`}>{visible(JSON.stringify(value))}</span>
}

interface MembersProps extends Omit<Props, 'value'> {
  readonly entries: readonly (readonly [string, JsonValue])[]
  readonly marks: readonly [string, string]
  readonly isObject?: boolean
}

function Members({ entries, path = [], marks, onKey, chosen, isObject = false }: MembersProps) {
  const [shown, setShown] = useState(SHOWN_MEMBERS)
  return (
    <>
      <span class="j-mark">{marks[0]}</span>
      <ul class="json">
        {entries.slice(0, shown).map(([key, value]) => {
          const inside = [...path, key]
          return (
            <li key={key}>
              {isObject && <Key name={key} path={inside} onKey={onKey} chosen={chosen} />}
              <JsonView value={value} path={inside} onKey={onKey} chosen={chosen} />
            </li>
          )
        })}
      </ul>
      {entries.length > shown && (
        <button type="button" class="small" onClick={() => setShown(entries.length)}>
          Show all {entries.length.toLocaleString('en')}
        </button>
      )}
      <span class="j-mark">{marks[1]}</span>
    </>
  )
}

function Key({ name, path, onKey, chosen }: { name: string } & Pick<Props, 'path' | 'onKey' | 'chosen'>) {
  const text = visible(JSON.stringify(name))
  if (onKey === undefined || path === undefined) return <span class="j-key">{text}: </span>
  return (
    <>
      <button
        type="button"
        class="j-key"
        aria-pressed={chosen === JSON.stringify(path)}
        title="Which patch set this value?"
        onClick={() => onKey(path)}
      >
        {text}
      </button>
      <span aria-hidden="true">: </span>
    </>
  )
}
