import type { ComponentChildren } from 'preact'
import { clock } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { Icon, type IconName } from './icon.tsx'
import type { Answer } from '../data/use-answer.ts'

export type Tone = 'good' | 'info' | 'warn' | 'bad'

const SIGNS: Readonly<Record<Tone, IconName>> = { good: 'check', info: 'info', warn: 'alert', bad: 'cross' }

/** A message in the page. It has a sign and a text, so that colour alone never tells anything. */
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
      <Sign tone={tone} />
      <div>
        <p class="notice-title">{title}</p>
        {children}
      </div>
    </div>
  )
}

export function Sign({ tone }: { tone: Tone }) {
  return (
    <span class={`sign ${tone}`}>
      <Icon name={SIGNS[tone]} />
    </span>
  )
}

/** A failure after which the page asks again by itself. */
export function Failure({ tone = 'bad', title, message }: { tone?: Tone; title: string; message: string }) {
  return (
    <Notice tone={tone} title={title}>
      <p>{visible(message)}</p>
      <p>This page tries again by itself. You need not reload it.</p>
    </Notice>
  )
}

/** Says that an answer is missing, or is not the newest. */
export function Trouble({ answer, title }: { answer: Answer<unknown>; title: string }) {
  if (answer.phase === 'failed') return <Failure title={title} message={answer.message} />
  if (answer.phase === 'loading' || answer.stale === undefined) return null
  const { since, message } = answer.stale
  return <Failure tone="warn" title={`Not up to date: last answer at ${clock(since)}`} message={message} />
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
