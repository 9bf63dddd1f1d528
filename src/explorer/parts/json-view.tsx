import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import type { JsonValue } from '../../client/index.ts'
import { count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'

/** Members shown at first; a content may have 10,000. */
const SHOWN_MEMBERS = 100
/** A value with more members is folded at first, and so is one that lies more levels below the root or the value opened last. */
const UNFOLDED_MEMBERS = 20
const UNFOLDED_LEVELS = 2
/** Longer texts are folded at first: about four lines on a wide screen. */
const SHOWN_CHARACTERS = 400

/** What is shown at a key that a person chooses. */
interface KeyDetail {
  /** The chosen path, as keys. */
  readonly path: readonly string[] | undefined
  /** Undefined takes the choice back. */
  readonly choose: (path: readonly string[] | undefined) => void
  /** Stands at the chosen key. */
  readonly render: (path: readonly string[], close: () => void) => ComponentChildren
}

interface Props {
  readonly value: JsonValue
  /** Where the value stands, as keys. */
  readonly path?: readonly string[]
  /** Values below this level are folded at first. */
  readonly unfoldedTo?: number
  /** Makes keys buttons. */
  readonly detail?: KeyDetail | undefined
}

/** JSON for people: indented, keys apart from values. Long texts and large or deep values are folded, with their size. */
export function JsonView({ value, path = [], unfoldedTo = UNFOLDED_LEVELS, detail }: Props) {
  if (Array.isArray(value)) {
    const entries = value.map((each, at): [string, JsonValue] => [String(at), each])
    // A patch sets an array as a whole: which patch set a value inside it is not known.
    return <Members entries={entries} path={path} unfoldedTo={unfoldedTo} isObject={false} />
  }
  if (typeof value === 'object' && value !== null) {
    return <Members entries={Object.entries(value)} path={path} unfoldedTo={unfoldedTo} isObject detail={detail} />
  }
  if (typeof value === 'string' && value.length > SHOWN_CHARACTERS) return <LongText text={value} />
  return <span class={`j-${value === null ? 'null' : typeof value}`}>{visible(JSON.stringify(value))}</span>
}

function LongText({ text }: { text: string }) {
  const [isOpen, setIsOpen] = useState(false)
  const shown = isOpen ? text : text.slice(0, SHOWN_CHARACTERS)
  return (
    <>
      <span class="j-string">
        {visible(JSON.stringify(shown))}
        {!isOpen && '…'}
      </span>{' '}
      <button type="button" class="small" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
        {isOpen ? 'Show less' : `Show all ${count(text.length, 'character')}`}
      </button>
    </>
  )
}

interface MembersProps extends Omit<Props, 'value'> {
  readonly entries: readonly (readonly [string, JsonValue])[]
  readonly path: readonly string[]
  readonly unfoldedTo: number
  readonly isObject: boolean
}

function Members({ entries, path, unfoldedTo, detail, isObject }: MembersProps) {
  const isRoot = path.length === 0
  const isFolded = path.length > unfoldedTo || entries.length > UNFOLDED_MEMBERS
  const [isOpen, setIsOpen] = useState(isRoot || !isFolded)
  const [shown, setShown] = useState(SHOWN_MEMBERS)
  const [open, close] = isObject ? ['{', '}'] : ['[', ']']
  const size = isObject ? count(entries.length, 'key') : count(entries.length, 'item')
  // Opening a folded value shows some levels of it, not one.
  const below = isFolded ? path.length + UNFOLDED_LEVELS : unfoldedTo
  if (entries.length === 0) return <span class="j-mark">{`${open} ${close}`}</span>
  return (
    <>
      {!isRoot && (
        <button
          type="button"
          class="j-mark fold"
          aria-expanded={isOpen}
          aria-label={`${visible(path.at(-1) ?? '')}: ${size}`}
          onClick={() => setIsOpen(!isOpen)}
        >
          {isOpen ? `▾ ${open}` : `▸ ${open} ${size} ${close}`}
        </button>
      )}
      {isOpen && (
        <>
          <ul class="json">
            {entries.slice(0, shown).map(([key, value]) => {
              const inside = [...path, key]
              return (
                <li key={key}>
                  {isObject && <Key name={key} path={inside} detail={detail} />}
                  <JsonView value={value} path={inside} unfoldedTo={below} detail={detail} />
                </li>
              )
            })}
          </ul>
          {entries.length > shown && (
            <button type="button" class="small" onClick={() => setShown(entries.length)}>
              Show all {entries.length.toLocaleString('en')}
            </button>
          )}
          {!isRoot && <span class="j-mark">{close}</span>}
        </>
      )}
    </>
  )
}

function Key({ name, path, detail }: { name: string; path: readonly string[]; detail: Props['detail'] }) {
  const button = useRef<HTMLButtonElement>(null)
  const text = visible(JSON.stringify(name))
  if (detail === undefined) return <span class="j-key">{text}: </span>
  const isChosen = detail.path !== undefined && JSON.stringify(detail.path) === JSON.stringify(path)
  function close(): void {
    button.current?.focus()
    detail?.choose(undefined)
  }
  return (
    <>
      <button
        type="button"
        class="j-key"
        ref={button}
        aria-haspopup="dialog"
        aria-expanded={isChosen}
        title="Which patch set this value?"
        onClick={() => detail.choose(isChosen ? undefined : path)}
      >
        {text}
      </button>
      <span aria-hidden="true">: </span>
      {isChosen && detail.render(path, close)}
    </>
  )
}
