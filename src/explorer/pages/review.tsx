import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { changesBetween } from '../../client/history.ts'
import type { JsonObject, Signer } from '../../client/index.ts'
import { Changes } from '../parts/changes.tsx'
import { Copy } from '../parts/hex.tsx'
import { useApp } from '../data/app-context.ts'
import { count, isDeclined } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import type { SignedChange } from '../data/outbox-entry.ts'
import { signPrepared, type Prepared, type Target } from '../data/prepare.ts'

interface Props {
  readonly target: Target
  readonly before: JsonObject
  readonly after: JsonObject
  /** The texts to sign, one after the other. */
  readonly prepared: readonly Prepared[]
  /** Undefined if no key or wallet is chosen that can sign for this avatar. */
  readonly signer: Signer | undefined
  readonly onBack: () => void
  /** @param record the last one */
  readonly onSent: (record: SignedChange) => void
}

/** Shows a change as a diff, has it signed, and sends it. */
export function Review({ target, before, after, prepared, signer, onBack, onSent }: Props) {
  const { outbox } = useApp()
  const [signing, setSigning] = useState(0)
  /** Records that were signed and are with the outbox: they are not signed again. */
  const [done, setDone] = useState(0)
  const [error, setError] = useState('')
  const [said, setSaid] = useState('')
  const title = useRef<HTMLHeadingElement>(null)
  useEffect(() => title.current?.focus(), [])
  const changes = changesBetween(target, before, after)

  async function sign(by: Signer): Promise<void> {
    setError('')
    setSaid('')
    for (const [at, each] of prepared.entries()) {
      if (at < done) continue
      setSigning(at + 1)
      try {
        const record = await signPrepared(each, by)
        await outbox.add(record)
        setDone(at + 1)
        if (at === prepared.length - 1) onSent(record)
      } catch (failure) {
        const left =
          at === 0 ? 'Nothing was written.' : `${count(at, 'of the records was', 'of the records were')} written.`
        if (isDeclined(failure)) setSaid(`You declined in the wallet. ${left} You can sign again, or go back.`)
        else setError(messageOf(failure))
        setSigning(0)
        return
      }
    }
  }

  return (
    <div class="card review">
      <h3 ref={title} tabIndex={-1}>
        Review the change
      </h3>
      <Changes changes={changes} total={changes.length} isPatch isBeforeKnown />
      {prepared.length > 1 && (
        <p class="hint">
          The change is large: it is written as {prepared.length} records, and each one is signed by itself.
        </p>
      )}
      <details>
        <summary>The exact text to sign</summary>
        <p class="hint">
          It names your avatar, the patch, and the records that you have seen. A value of null removes a key.
        </p>
        {prepared.map(({ text }, at) => (
          <div key={text}>
            <p class="hint">
              {prepared.length > 1 && `${at + 1} of ${prepared.length}, `}
              {count(text.length, 'character')} <Copy text={text} label="Copy the text that will be signed" />
            </p>
            <pre tabIndex={0} aria-label="Text to be signed" class="to-sign">
              {visible(text)}
            </pre>
          </div>
        ))}
      </details>
      <p class="actions">
        <button
          type="button"
          class="primary"
          disabled={signing > 0 || signer === undefined}
          onClick={() => signer !== undefined && void sign(signer)}
        >
          {signing === 0
            ? 'Sign and send'
            : prepared.length === 1
              ? 'Signing…'
              : `Signing ${signing} of ${prepared.length}…`}
        </button>
        <button type="button" disabled={signing > 0} onClick={onBack}>
          Back
        </button>
      </p>
      <p role="status">{said}</p>
      <p class="error" role="alert">
        {error}
      </p>
    </div>
  )
}
