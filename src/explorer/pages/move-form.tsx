import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import type { VerifiedAvatar } from '../../client/index.ts'
import { Loading, Notice } from '../parts/notice.tsx'
import { useApp } from '../data/app-context.ts'
import { count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { here, hostFault, hostOf } from '../data/here.ts'
import { moveTo, type Moved, type MoveProgress } from '../data/move.ts'
import { avatarHref } from '../routes.ts'

type Stage =
  | { readonly at: 'asking' }
  | { readonly at: 'moving'; readonly url: string; readonly progress: MoveProgress }
  | { readonly at: 'moved'; readonly url: string; readonly moved: Moved }

/** Asks for the new host, copies the records there, and shows what the host signed and what is left to do. */
export function MoveForm({ known }: { known: VerifiedAvatar }) {
  const { session } = useApp()
  const [text, setText] = useState(session.others[0] ?? '')
  const [stage, setStage] = useState<Stage>({ at: 'asking' })
  const [error, setError] = useState('')
  const running = useRef<AbortController>(undefined)
  useEffect(() => () => running.current?.abort(), [])

  function begin(event: Event): void {
    event.preventDefault()
    setError('')
    const url = hostOf(text)
    const fault = hostFault(url)
    if (url === undefined || fault !== undefined) return setError(fault ?? '')
    // The policy of the page names the hosts that it may ask. With another address it loads again, and goes on from there.
    if (!session.others.includes(url)) {
      const query = new URLSearchParams([...session.others, url].map((each): [string, string] => ['host', each]))
      location.assign(`./?${query.toString()}${location.hash.split('?')[0] ?? ''}?to=${encodeURIComponent(url)}`)
      return
    }
    void move(url)
  }

  async function move(url: string): Promise<void> {
    running.current?.abort()
    const own = new AbortController()
    running.current = own
    setStage({ at: 'moving', url, progress: { step: 'reading', records: 0 } })
    try {
      const moved = await moveTo(url, known, (progress) => setStage({ at: 'moving', url, progress }), own.signal)
      if (!own.signal.aborted) setStage({ at: 'moved', url, moved })
    } catch (failure) {
      if (own.signal.aborted) return
      setError(messageOf(failure))
      setStage({ at: 'asking' })
    }
  }

  // The person pressed the button before the page loaded again.
  useEffect(() => {
    const wanted = hostOf(new URLSearchParams(location.hash.split('?')[1] ?? '').get('to') ?? '')
    if (wanted === undefined || !session.others.includes(wanted)) return
    setText(wanted)
    history.replaceState(null, '', location.href.replace(/\?to=[^?]*$/, ''))
  }, [])

  if (stage.at === 'moving') return <Progress {...stage.progress} />
  if (stage.at === 'moved') return <Result known={known} {...stage} onAgain={() => setStage({ at: 'asking' })} />
  const isNamed = hostOf(text) !== undefined && session.others.includes(hostOf(text) ?? '')
  return (
    <form class="move-form" onSubmit={begin}>
      <label for="move-host">Address of the new host</label>
      <div class="row">
        <input
          id="move-host"
          inputMode="url"
          autocomplete="url"
          placeholder="https://…"
          value={text}
          aria-describedby="move-error"
          onInput={(event) => {
            setText(event.currentTarget.value)
            setError('')
          }}
        />
        <button type="submit" class="primary">
          {isNamed ? 'Move it there' : 'Continue'}
        </button>
      </div>
      {isNamed && <p class="hint">This page may ask that host now. Nothing has been sent yet.</p>}
      <p id="move-error" class="error" role="alert">
        {visible(error)}
      </p>
    </form>
  )
}

function Progress(progress: MoveProgress) {
  if (progress.step === 'reading')
    return <Loading what={`Reading the records: ${progress.records.toLocaleString('en')}`} />
  if (progress.step === 'comparing') return <Loading what="Asking the new host for a receipt, and checking it" />
  return <Loading what="Sending:" done={progress.done} total={progress.total} />
}

interface ResultProps {
  readonly known: VerifiedAvatar
  readonly url: string
  readonly moved: Moved
  readonly onAgain: () => void
}

function Result({ known, url, moved, onAgain }: ResultProps) {
  const { records, refusals, isEqual, receipt } = moved
  const name = url.replace(/^https?:\/\//, '')
  if (!isEqual) {
    return (
      <Notice tone="bad" title={`${name} does not have all of it`}>
        {refusals.length > 0 ? (
          <>
            <p>The host did not take some of the {count(records, 'record')}. It says:</p>
            <ul>
              {refusals.map((each) => (
                <li key={each}>{visible(each)}</li>
              ))}
            </ul>
            <p>
              A host may take only avatars on its list. Ask its operator for an invitation, or choose another host.
              Nothing was lost here.
            </p>
          </>
        ) : (
          <p>What it shows is not the state that was checked here. Wait a moment, and move it again.</p>
        )}
        <p class="actions">
          <button type="button" onClick={onAgain}>
            Try again
          </button>
        </p>
      </Notice>
    )
  }
  return (
    <>
      <Notice tone="good" title={`${name} has all of it`}>
        <p>
          {count(records, 'record')} copied. The host shows exactly the state that was checked here
          {receipt === null ? '.' : ', and signed a receipt for it, which was checked too.'}
        </p>
        {receipt !== null && (
          <p class="actions">
            <a
              class="button small"
              href={`data:application/json,${encodeURIComponent(JSON.stringify({ node: url, receipt }, null, 2))}`}
              download={`receipt-${known.avatar.slice(2, 12)}.json`}
            >
              Download the receipt
            </a>
          </p>
        )}
      </Notice>
      <h3>Left to do</h3>
      <ol class="left-to-do">
        <li>
          <a href={`${url}/${avatarHref(known.avatar)}`} rel="noreferrer">
            Open your avatar on {name}
          </a>{' '}
          and see for yourself.
        </li>
        <li>
          Tell readers where you live: list <code>{url}</code> under the key <code>org.avatar-kv.homes</code> (
          <a href={avatarHref(known.avatar, 'edit', { as: 'json' })}>Edit, Advanced</a>).
        </li>
        <li>
          Write there from now on.{' '}
          {here() === url ? '' : 'Nodes that know each other pass your changes on to this host.'}
        </li>
      </ol>
    </>
  )
}
