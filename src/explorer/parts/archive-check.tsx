import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import type { CheckReport } from '../data/check-file.ts'
import { bytes, count, cut, moment } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { avatarHref } from '../routes.ts'
import { Import } from './archive-import.tsx'
import { Hex } from './hex.tsx'
import { Loading, Notice, type Tone } from './notice.tsx'

const SHOWN_AVATARS = 100

type Stage =
  | { readonly at: 'waiting' }
  | { readonly at: 'checking'; readonly file: File; readonly read: number; readonly records: number }
  | { readonly at: 'checked'; readonly file: File; readonly report: CheckReport }
  | { readonly at: 'failed'; readonly message: string }

/** Takes an archive that is dropped or chosen, checks it in the browser, and sends it to the host only on request. */
export function ArchiveCheck({ title: heading }: { title: string }) {
  const [stage, setStage] = useState<Stage>({ at: 'waiting' })
  const [isOver, setIsOver] = useState(false)
  const running = useRef<AbortController>(undefined)
  useEffect(() => () => running.current?.abort(), [])

  async function take(file: File | undefined): Promise<void> {
    if (file === undefined) return
    running.current?.abort()
    const own = new AbortController()
    running.current = own
    setStage({ at: 'checking', file, read: 0, records: 0 })
    try {
      const { checkFile } = await loadChecker()
      const report = await checkFile(
        file,
        (read, records) => setStage({ at: 'checking', file, read, records }),
        own.signal,
      )
      if (!own.signal.aborted) setStage({ at: 'checked', file, report })
    } catch (error) {
      if (!own.signal.aborted) setStage({ at: 'failed', message: messageOf(error) })
    }
  }

  function stop(): void {
    running.current?.abort()
    setStage({ at: 'waiting' })
  }

  return (
    <section aria-labelledby="check-title">
      <h2 id="check-title">{heading}</h2>
      <label
        class={`drop${isOver ? ' over' : ''}`}
        onDragOver={(event) => {
          event.preventDefault()
          setIsOver(true)
        }}
        onDragLeave={() => setIsOver(false)}
        onDrop={(event) => {
          event.preventDefault()
          setIsOver(false)
          void take(event.dataTransfer?.files[0])
        }}
      >
        <span>
          <strong>Drop an archive here</strong>, or choose one. Your browser checks it. Nothing is uploaded.
        </span>
        <input
          type="file"
          accept=".ndjson,.gz,application/x-ndjson,application/gzip"
          onChange={(event) => void take(event.currentTarget.files?.[0])}
        />
      </label>
      <div aria-live="polite">
        {stage.at === 'checking' && (
          <>
            <Loading
              what={`Checking ${visible(cut(stage.file.name, 80))}:`}
              done={stage.read}
              total={stage.file.size}
            />
            <p>
              <span class="hint">{count(stage.records, 'signature')} so far</span>{' '}
              <button type="button" class="small" onClick={stop}>
                Stop
              </button>
            </p>
          </>
        )}
        {stage.at === 'failed' && (
          <Notice tone="bad" title="The file could not be checked">
            {visible(stage.message)}
          </Notice>
        )}
        {stage.at === 'checked' && <Report file={stage.file} report={stage.report} />}
      </div>
    </section>
  )
}

/** The checker is as large as the rest of the page, so it is loaded only here. */
async function loadChecker(): Promise<typeof import('../data/check-file.ts')> {
  try {
    return await import('../data/check-file.ts')
  } catch (error) {
    throw new Error(
      'A part of this page did not load. The host may be down, or runs a newer version now. Reload the page and try again.',
      { cause: error },
    )
  }
}

function Report({ file, report }: { file: File; report: CheckReport }) {
  const { tone, title, text } = judge(report)
  const [shown, setShown] = useState(SHOWN_AVATARS)
  return (
    <>
      <Notice tone={tone} title={title}>
        <p>
          <strong>{visible(file.name)}</strong>, {bytes(file.size)}: {text}
        </p>
        {report.faults.total > 0 && (
          <details>
            <summary>What is wrong, line by line</summary>
            <ul>
              {report.faults.first.map((fault) => (
                <li key={`${fault.line} ${fault.code}`}>
                  Line {fault.line}: {visible(fault.message)}
                </li>
              ))}
              {report.faults.total > report.faults.first.length && <li>…and more: {report.faults.total} in all.</li>}
            </ul>
          </details>
        )}
      </Notice>
      <dl class="facts">
        <dt>Network</dt>
        <dd>{report.network ?? 'not stated'}</dd>
        <dt>Created</dt>
        <dd>{report.created_at === null ? 'not stated' : moment(report.created_at)}</dd>
        <dt>Records</dt>
        <dd>
          {report.valid.toLocaleString('en')} good
          {report.invalid > 0 && `, ${report.invalid.toLocaleString('en')} bad`}
          {report.duplicate > 0 && `, ${report.duplicate.toLocaleString('en')} repeated`}
        </dd>
        <dt>Trailer</dt>
        <dd>{TRAILERS[report.trailer]}</dd>
      </dl>
      {report.shown.length > 0 && (
        <div class="scroll" role="region" aria-label="Avatars in the archive" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Avatar</th>
                <th scope="col">Records</th>
                <th scope="col">Head</th>
                <th scope="col">Missing</th>
              </tr>
            </thead>
            <tbody>
              {report.shown.slice(0, shown).map(({ avatar, records, state }) => (
                <tr key={avatar}>
                  <th scope="row">
                    <a href={avatarHref(avatar)}>see</a> <Hex value={avatar} label="avatar" />
                  </th>
                  <td>{records.toLocaleString('en')}</td>
                  <td>{state?.head ?? 'not judged'}</td>
                  <td>{state?.missing.total ?? 'not judged'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {report.shown.length > shown ? (
        <button type="button" onClick={() => setShown(report.shown.length)}>
          Show {(report.shown.length - shown).toLocaleString('en')} more avatars
        </button>
      ) : (
        report.avatars > report.shown.length && (
          <p class="hint">
            {report.shown.length.toLocaleString('en')} of {report.avatars.toLocaleString('en')} avatars are listed.
          </p>
        )
      )}
      {report.valid > 0 && <Import file={file} />}
    </>
  )
}

const TRAILERS = {
  good: 'matches the rest of the file',
  wrong: 'does not match: the file was changed',
  missing: 'missing: the file was cut',
} as const

function judge(report: CheckReport): { tone: Tone; title: string; text: string } {
  if (report.valid === 0) {
    return {
      tone: 'bad',
      title: 'Nothing in this file can be used',
      text: 'it holds no record with a good signature. Choose a file that “Move” or avatar-kv export made.',
    }
  }
  const good = `${count(report.valid, 'good signature')}, ${count(report.avatars, 'avatar')}.`
  if (!report.sound) {
    return {
      tone: 'bad',
      title: `This archive is damaged: ${count(report.faults.total, 'fault')}`,
      text: `${good} The file was changed or cut after it was made, by mistake or on purpose. Nobody can change a record without its key, so the changed parts are known, and left out. You can import the good records; get the others from a host that has the avatar.`,
    }
  }
  if (!report.complete) {
    return {
      tone: 'warn',
      title: 'Sound, but with gaps',
      text: `${good} It lacks ${count(report.missing, 'record')} that others build on. A host that has the missing records fills the gap after the import.`,
    }
  }
  return { tone: 'good', title: 'This archive is sound and complete', text: good }
}
