import { useEffect, useRef } from 'preact/hooks'
import type { StateEntry, VerifiedAvatar } from '../../client/index.ts'
import { formatPointer } from '../../record/json-pointer.ts'
import { useApp } from '../data/app-context.ts'
import { moment } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { useAnswer } from '../data/use-answer.ts'
import { avatarHref } from '../routes.ts'
import { Hex } from './hex.tsx'
import { Icon } from './icon.tsx'
import { Loading, Trouble } from './notice.tsx'

interface Props {
  readonly known: VerifiedAvatar
  readonly entry: StateEntry
  /** The chosen key, from the outermost. */
  readonly path: readonly string[]
  readonly close: () => void
}

/** Which record set a value: a window at the key, or at the lower edge of a phone. Escape and a click elsewhere close it. */
export function Origin({ known, entry, path, close }: Props) {
  const { session } = useApp()
  const place = useRef<HTMLDivElement>(null)
  const pointer = formatPointer(path)
  const { platform, identity } = entry
  const answer = useAnswer(
    (signal) => session.client.provenance(known.avatar, platform, identity, pointer, { signal }),
    [known.digest, platform, identity, pointer],
  )
  const latest = useRef(close)
  latest.current = close
  useEffect(() => {
    place.current?.focus({ preventScroll: true })
    const stop = new AbortController()
    const isOutside = ({ target }: Event): boolean =>
      target instanceof Element && place.current?.contains(target) === false && target.closest('button.j-key') === null
    addEventListener('keydown', (event) => event.key === 'Escape' && latest.current(), stop)
    addEventListener('pointerdown', (event) => isOutside(event) && latest.current(), stop)
    return () => stop.abort()
  }, [])
  // The answer makes it higher.
  useEffect(() => place.current?.scrollIntoView({ block: 'nearest' }), [answer.phase])
  return (
    <div class="origin" role="dialog" aria-label={`Which patch set ${visible(pointer)}`} tabIndex={-1} ref={place}>
      <button type="button" class="icon-button quiet close" aria-label="Close" onClick={close}>
        <Icon name="close" />
      </button>
      <div role="status">
        {answer.phase === 'loading' && <Loading what="Looking for the patch" />}
        <Trouble answer={answer} title="The patch could not be found" />
        {answer.phase === 'ready' && <Found known={known} pointer={pointer} found={answer.value} />}
      </div>
    </div>
  )
}

type Provenance = Awaited<ReturnType<ReturnType<typeof useApp>['session']['client']['provenance']>>

function Found({ known, pointer, found }: { known: VerifiedAvatar; pointer: string; found: Provenance }) {
  const { kind, by, id, counter, created_at } = found
  const isSnapshot = by === 'snapshot' || by === 'part'
  return (
    <>
      <p>
        <code>{visible(pointer)}</code> {SAID[kind]}
        {isSnapshot ? ' a snapshot, which replaces all records before it' : id !== null && ' this patch'}.
      </p>
      {id !== null && (
        <p>
          <a href={avatarHref(known.avatar, 'history', { record: id })}>
            Number {counter}
            {created_at !== null && `, signed ${moment(created_at)}`}
          </a>{' '}
          <Hex value={id} label="id of the record" />
        </p>
      )}
    </>
  )
}

const SAID = {
  set: 'was set by',
  removed: 'was removed by',
  unset: 'was not set by any record that counts',
} as const
