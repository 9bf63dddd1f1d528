import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import type { JsonObject, Signer } from '../../client/index.ts'
import { Copy } from '../parts/hex.tsx'
import { Notice } from '../parts/notice.tsx'
import { useApp } from '../data/app-context.ts'
import { judgeDraft, pretty, touched } from '../data/draft.ts'
import type { Desired } from '../data/drafts.ts'
import { isDeclined } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { contentWith, prepare, signPrepared, withChange, type Prepared } from '../data/prepare.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import type { OutboxEntry, SignedChange } from '../data/outbox-entry.ts'
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
  | { readonly at: 'review'; readonly prepared: Prepared }
  | { readonly at: 'signing'; readonly prepared: Prepared }
  | { readonly at: 'sent'; readonly record: SignedChange }

/** Edits one content: turns it into a patch, shows the text that will be signed, has it signed, and sends it. */
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
  const [said, setSaid] = useState('')
  const review = useRef<HTMLHeadingElement>(null)
  const draft = judgeDraft(before, text)
  const now = contentWith(known, waiting, target)
  const meanwhile = stage.at === 'writing' || stage.at === 'review' ? judgeDraft(before, pretty(now)) : undefined

  // Nothing was typed: new content replaces the old.
  useEffect(() => {
    if (stage.at !== 'writing' || draft.kind !== 'same' || meanwhile?.kind !== 'change') return
    setBefore(now)
    setText(pretty(now))
  }, [known.digest, waiting])
  useEffect(() => {
    if (stage.at === 'review') review.current?.focus()
  }, [stage.at])

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

  function back(): void {
    setSaid('')
    setError('')
    setStage({ at: 'writing' })
  }

  async function sign(prepared: Prepared, by: Signer): Promise<void> {
    setError('')
    setSaid('')
    setStage({ at: 'signing', prepared })
    let record: SignedChange
    try {
      record = await signPrepared(prepared, by)
    } catch (failure) {
      if (isDeclined(failure))
        setSaid('You declined in the wallet. Nothing was written. You can sign again, or go back.')
      else setError(messageOf(failure))
      setStage({ at: 'review', prepared })
      return
    }
    try {
      await outbox.add(record)
      drafts.drop(desired)
      if (again !== undefined) outbox.discard(again.id)
      setStage({ at: 'sent', record })
    } catch (failure) {
      setError(messageOf(failure))
      setStage({ at: 'review', prepared })
    }
  }

  if (stage.at === 'sent') return <Sent view={view} {...stage} onDone={startOver} />
  const isClash =
    draft.kind === 'change' && meanwhile?.kind === 'change' && doTouch(touched(draft.patch), touched(meanwhile.patch))
  return (
    <div class="editor">
      <label for="content">Content, as JSON</label>
      <textarea
        id="content"
        rows={Math.min(24, Math.max(8, text.split('\n').length + 1))}
        spellcheck={false}
        value={text}
        readOnly={stage.at !== 'writing'}
        aria-invalid={draft.kind === 'wrong'}
        aria-describedby="draft-state"
        onInput={(event) => typeIn(event.currentTarget.value)}
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
              : 'Other keys were changed from another device. Your patch does not touch them.'}{' '}
            <button type="button" class="small" onClick={startOver}>
              Discard mine and start from the new content
            </button>
          </p>
        </Notice>
      )}
      {draft.kind === 'change' && (
        <>
          <h3>The patch that results</h3>
          <pre tabIndex={0} aria-label="Patch" class="patch">
            {visible(JSON.stringify(draft.patch, null, 2))}
          </pre>
          <p class="hint">null removes a key. Keys that are not named here stay as they are.</p>
        </>
      )}
      {stage.at === 'writing' ? (
        <p>
          <button
            type="button"
            class="primary"
            disabled={draft.kind !== 'change' || signer === undefined}
            onClick={() => draft.kind === 'change' && toReview(draft.patch)}
          >
            See what will be signed
          </button>{' '}
          {draft.kind !== 'same' && (
            <button type="button" onClick={startOver}>
              Discard what I typed
            </button>
          )}{' '}
          {signer === undefined && <span class="hint">Choose above who signs.</span>}
        </p>
      ) : (
        <div class="card review">
          <h3 ref={review} tabIndex={-1}>
            This exact text will be signed
          </h3>
          <p class="hint">
            It names your avatar, the patch, and the records that you have seen (
            {stage.prepared.text.length.toLocaleString('en')} characters).{' '}
            <Copy text={stage.prepared.text} label="Copy the text that will be signed" />
          </p>
          <pre tabIndex={0} aria-label="Text to be signed" class="to-sign">
            {visible(stage.prepared.text)}
          </pre>
          <p class="row">
            <button
              type="button"
              class="primary"
              disabled={stage.at === 'signing' || signer === undefined}
              onClick={() => signer !== undefined && void sign(stage.prepared, signer)}
            >
              {stage.at === 'signing' ? 'Signing…' : 'Sign and send'}
            </button>
            <button type="button" disabled={stage.at === 'signing'} onClick={back}>
              Back
            </button>
          </p>
        </div>
      )}
      <p role="status">{said}</p>
      <p class="error" role="alert">
        {error}
      </p>
    </div>
  )
}

function doTouch(mine: readonly string[], theirs: readonly string[]): boolean {
  return mine.some((a) => theirs.some((b) => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)))
}
