import { useRef } from 'preact/hooks'

/** Rows of the field at least, and at most. */
const MIN_ROWS = 10
const MAX_ROWS = 26
/** More line numbers are not drawn. */
const MAX_NUMBERS = 5_000

interface Props {
  readonly id: string
  readonly value: string
  readonly isReadOnly: boolean
  readonly isWrong: boolean
  /** The line with an error, from 1. */
  readonly wrongLine: number | undefined
  readonly describedBy: string
  readonly onInput: (text: string) => void
}

/** A field for code, with line numbers. Long lines are not broken, so that numbers and lines stay together. */
export function CodeArea({ id, value, isReadOnly, isWrong, wrongLine, describedBy, onInput }: Props) {
  const numbers = useRef<HTMLDivElement>(null)
  const lines = Math.min(MAX_NUMBERS, value.split('\n').length)
  return (
    <div class="code-area">
      <div class="line-numbers" aria-hidden="true" ref={numbers}>
        {Array.from({ length: lines }, (_, at) => (
          <span key={at} class={at + 1 === wrongLine ? 'wrong' : undefined}>
            {at + 1}
          </span>
        ))}
      </div>
      <textarea
        id={id}
        rows={Math.min(MAX_ROWS, Math.max(MIN_ROWS, lines + 1))}
        wrap="off"
        spellcheck={false}
        value={value}
        readOnly={isReadOnly}
        aria-invalid={isWrong}
        aria-describedby={describedBy}
        onInput={(event) => onInput(event.currentTarget.value)}
        onScroll={(event) => {
          if (numbers.current !== null) numbers.current.scrollTop = event.currentTarget.scrollTop
        }}
      />
    </div>
  )
}
