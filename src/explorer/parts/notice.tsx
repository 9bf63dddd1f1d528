import type { ComponentChildren } from 'preact'

export type Tone = 'good' | 'info' | 'warn' | 'bad'

const SIGNS: Readonly<Record<Tone, string>> = { good: '✓', info: 'i', warn: '!', bad: '✕' }

/** A message that stands in the page. Colour never says it alone: there is a sign and a text. */
export function Notice({
  tone,
  title,
  children,
}: {
  tone: Tone
  title: ComponentChildren
  children?: ComponentChildren
}) {
  return (
    <div class={`notice ${tone}`}>
      <span class="sign" aria-hidden="true">
        {SIGNS[tone]}
      </span>
      <div>
        <p class="notice-title">{title}</p>
        {children}
      </div>
    </div>
  )
}

export function Loading({ what, done = 0, total = 0 }: { what: string; done?: number; total?: number }) {
  return (
    <div class="loading" role="status">
      <p>
        {what}
        {total > 0 && ` ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`}
      </p>
      {total > 0 ? <progress value={done} max={total} aria-label={what} /> : <progress aria-label={what} />}
    </div>
  )
}
