import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import type { JsonObject, Signer } from '../../client/index.ts'
import { CodeArea } from '../parts/code-area.tsx'
import { Notice } from '../parts/notice.tsx'
import { useApp } from '../data/app-context.ts'
import { judgeDraft, pretty, touched } from '../data/draft.ts'
import type { Desired } from '../data/drafts.ts'
import { contentWith, prepare, withChange, type Prepared } from '../data/prepare.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import type { OutboxEntry, SignedChange } from '../data/outbox-entry.ts'
import { Review } from './review.tsx'
import { Sent } from './sent.tsx'

interface Props {
  readonly view: Extract<AvatarView, { phase: 'ready' }>
  readonly waiting: readonly SignedChange[]
  readonly desired: Desired
  /** Undefined if no key or wallet is chosen that can sign for this avatar. */
  readonly signer: Signer | undefined
  /** A change that the host refused, to be applied to the present content. */
  readonly again: OutboxEntry | undefined
}

type Stage =
  | { readonly at: 'writing' }
  | { readonly at: 'review'; readonly prepared: readonly Prepared[] }
  | { readonly at: 'sent'; readonly record: SignedChange }

/** Edits one content as JSON: turns it into a patch, which is reviewed, signed and sent. */
export function Editor({ view, waiting, desired, signer, again }: Props) {
  const { known } = view
  const { target } = desired
  const { outbox, drafts } = useApp()
  const typed = drafts.get(desired)
  const [before, setBefore] = useState<JsonObject>(() => typed?.before ?? contentWith(known, waiting, target))
  const [text, setText] = useState(
    () => typed?.text ?? pretty(again === undefined ? before : withChange(before, again)),
  )
  const [stage, setStage] = useState<Stage>({ at: 'writing' })
  const [error, setError] = useState('')
  const draft = judgeDraft(before, text)
  const now = contentWith(known, waiting, target)
  const meanwhile = stage.at === 'sent' ? undefined : judgeDraft(before, pretty(now))

  // Nothing was typed: new content replaces the old.
  useEffect(() => {
    if (stage.at !== 'writing' || draft.kind !== 'same' || meanwhile?.kind !== 'change') return
    setBefore(now)
    setText(pretty(now))
  }, [known.digest, waiting])

  function typeIn(next: string): void {
    setText(next)
    if (next === pretty(before)) drafts.drop(desired)
    else drafts.set(desired, { before, text: next })
  }

  function startOver(): void {
    drafts.drop(desired)
    const content = contentWith(known, waiting, target)
    setBefore(content)
    setText(pretty(content))
    setStage({ at: 'writing' })
    setError('')
  }

  function toReview(patch: JsonObject): void {
    setError('')
    try {
      setStage({ at: 'review', prepared: prepare(known, waiting, target, patch) })
    } catch (failure) {
      setError(`${messageOf(failure)} Change less at once, or write it differently.`)
    }
  }

  function sent(record: SignedChange): void {
    drafts.drop(desired)
    if (again !== undefined) outbox.discard(again.id)
    setStage({ at: 'sent', record })
  }

  if (stage.at === 'sent') return <Sent view={view} {...stage} onDone={startOver} />
  const isClash =
    draft.kind === 'change' && meanwhile?.kind === 'change' && doTouch(touched(draft.patch), touched(meanwhile.patch))
  return (
    <div class="editor">
      <div class="section-head">
        <label for="content">Content, as JSON</label>
        <button
          type="button"
          class="small quiet"
          disabled={stage.at !== 'writing' || draft.kind !== 'change'}
          onClick={() => draft.kind === 'change' && typeIn(pretty(draft.after))}
        >
          Format
        </button>
      </div>
      <CodeArea
        id="content"
        value={text}
        isReadOnly={stage.at !== 'writing'}
        wrongLine={draft.kind === 'wrong' ? draft.line : undefined}
        isWrong={draft.kind === 'wrong'}
        describedBy="draft-state"
        onInput={typeIn}
      />
      <p id="draft-state" aria-live="polite" class={draft.kind === 'wrong' ? 'error' : 'hint'}>
        {draft.kind === 'wrong' && draft.message}
        {draft.kind === 'same' && 'Nothing is changed yet.'}
      </p>
      {draft.kind !== 'same' && meanwhile?.kind === 'change' && (
        <Notice tone="warn" title="The content changed meanwhile">
          <p>
            {isClash
              ? 'The same keys were changed from another device with this avatar’s key. Your patch would overwrite that change.'
              : 'Other keys were changed from another device. Your patch does not touch them.'}
          </p>
          <p>
            <button type="button" class="small" onClick={startOver}>
              Discard mine and start from the new content
            </button>
          </p>
        </Notice>
      )}
      {stage.at === 'writing' && (
        <p class="actions">
          <button
            type="button"
            class="primary"
            disabled={draft.kind !== 'change' || signer === undefined}
            onClick={() => draft.kind === 'change' && toReview(draft.patch)}
          >
            Review the change
          </button>
          {draft.kind !== 'same' && (
            <button type="button" onClick={startOver}>
              Discard what I typed
            </button>
          )}
          {signer === undefined && <span class="hint">Choose above who signs.</span>}
        </p>
      )}
      {stage.at === 'review' && draft.kind === 'change' && (
        <Review
          target={target}
          before={before}
          after={draft.after}
          prepared={stage.prepared}
          signer={signer}
          onBack={() => setStage({ at: 'writing' })}
          onSent={sent}
        />
      )}
      <p class="error" role="alert">
        {error}
      </p>
    </div>
  )
}

function doTouch(mine: readonly string[], theirs: readonly string[]): boolean {
  return mine.some((a) => theirs.some((b) => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)))
}
