import { useRef, useState } from 'preact/hooks'
import type { CheckReport } from '../data/check-file.ts'
import { bytes, count, messageOf, moment } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { importArchive, type ImportResult } from '../data/node-facts.ts'
import { avatarHref } from '../routes.ts'
import { Hex } from './hex.tsx'
import { Loading, Notice, type Tone } from './notice.tsx'

type Stage =
  | { readonly at: 'waiting' }
  | { readonly at: 'checking'; readonly file: File; readonly read: number; readonly records: number }
  | { readonly at: 'checked'; readonly file: File; readonly report: CheckReport }
  | { readonly at: 'failed'; readonly message: string }

/** Takes an archive by drop or by choice, checks it here, and hands it in only if somebody wants that. */
export function ArchiveCheck() {
  const [stage, setStage] = useState<Stage>({ at: 'waiting' })
  const [isOver, setIsOver] = useState(false)
  const running = useRef<AbortController>(undefined)

  async function take(file: File | undefined): Promise<void> {
    if (file === undefined) return
    running.current?.abort()
    const own = new AbortController()
    running.current = own
    setStage({ at: 'checking', file, read: 0, records: 0 })
    try {
      // The checker is as large as all the rest.
      const { checkFile } = await import('../data/check-file.ts')
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

  return (
    <section aria-labelledby="check-title">
      <h2 id="check-title">Check an archive</h2>
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
          <strong>Drop an archive here</strong>, or choose one. It is checked in your browser; nothing is uploaded.
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
            <Loading what={`Checking ${stage.file.name}:`} done={stage.read} total={stage.file.size} />
            <p class="hint">{count(stage.records, 'signature')} so far</p>
          </>
        )}
        {stage.at === 'failed' && (
          <Notice tone="bad" title="The file could not be read">
            {stage.message}
          </Notice>
        )}
        {stage.at === 'checked' && <Report file={stage.file} report={stage.report} />}
      </div>
    </section>
  )
}

function Report({ file, report }: { file: File; report: CheckReport }) {
  const { tone, title, text } = judge(report)
  return (
    <>
      <Notice tone={tone} title={title}>
        <p>
          <strong>{visible(file.name)}</strong>, {bytes(file.size)}: {text}
        </p>
        {report.faults.total > 0 && (
          <ul>
            {report.faults.first.map((fault) => (
              <li key={`${fault.line} ${fault.code}`}>
                Line {fault.line}: {visible(fault.message)}
              </li>
            ))}
            {report.faults.total > report.faults.first.length && <li>…and more: {report.faults.total} in all.</li>}
          </ul>
        )}
      </Notice>
      <dl class="facts">
        <dt>Network</dt>
        <dd>{report.network ?? 'not told'}</dd>
        <dt>Made</dt>
        <dd>{report.created_at === null ? 'not told' : moment(report.created_at)}</dd>
        <dt>Records</dt>
        <dd>
          {report.valid.toLocaleString('en')} good
          {report.invalid > 0 && `, ${report.invalid.toLocaleString('en')} bad`}
          {report.duplicate > 0 && `, ${report.duplicate.toLocaleString('en')} twice`}
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
              {report.shown.slice(0, 100).map(({ avatar, records, state }) => (
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
      {report.valid > 0 && <Import file={file} />}
    </>
  )
}

const TRAILERS = {
  good: 'fits what is before it',
  wrong: 'does not fit: the file was changed',
  missing: 'missing: the file was cut',
} as const

function judge(report: CheckReport): { tone: Tone; title: string; text: string } {
  if (report.valid === 0) {
    return { tone: 'bad', title: 'Nothing in this file can be used', text: 'it holds no record with a good signature.' }
  }
  const good = `${count(report.valid, 'good signature')}, ${count(report.avatars, 'avatar')}.`
  if (!report.sound) {
    return {
      tone: 'bad',
      title: `This archive is damaged: ${count(report.faults.total, 'fault')}`,
      text: `${good} What is good in it can still be imported.`,
    }
  }
  if (!report.complete) {
    return {
      tone: 'warn',
      title: 'Sound, but with gaps',
      text: `${good} ${count(report.missing, 'record')} that others build on ${report.missing === 1 ? 'is' : 'are'} not in it.`,
    }
  }
  return { tone: 'good', title: 'This archive is sound and complete', text: good }
}

type ImportStage =
  | { readonly at: 'asked' }
  | { readonly at: 'sending' }
  | { readonly at: 'done'; readonly result: ImportResult }
  | { readonly at: 'failed'; readonly message: string }

function Import({ file }: { file: File }) {
  const [stage, setStage] = useState<ImportStage>({ at: 'asked' })
  async function send(): Promise<void> {
    setStage({ at: 'sending' })
    try {
      setStage({ at: 'done', result: await importArchive(file) })
    } catch (error) {
      setStage({ at: 'failed', message: messageOf(error) })
    }
  }
  if (stage.at === 'sending') return <Loading what="This host takes the archive in" />
  if (stage.at === 'done') return <Imported result={stage.result} />
  return (
    <>
      {stage.at === 'failed' && (
        <Notice tone="bad" title="The host did not take it">
          {stage.message}
        </Notice>
      )}
      <p>
        <button type="button" onClick={() => void send()}>
          Import it into this host
        </button>{' '}
        <span class="hint">The host checks every record again. It may be repeated.</span>
      </p>
    </>
  )
}

function Imported({ result }: { result: ImportResult }) {
  const parts = [
    count(result.stored, 'record is new', 'records are new'),
    `${result.duplicate.toLocaleString('en')} there already`,
    ...(result.pending > 0 ? [`${result.pending.toLocaleString('en')} wait for what is missing`] : []),
    ...(result.superseded > 0 ? [`${result.superseded.toLocaleString('en')} superseded`] : []),
    ...(result.refused > 0 ? [`${result.refused.toLocaleString('en')} refused`] : []),
    ...(result.invalid > 0 ? [`${result.invalid.toLocaleString('en')} invalid`] : []),
  ]
  const reasons = Object.values(result.refusals).map(({ message }) => message)
  return (
    <Notice tone={result.refused + result.invalid > 0 ? 'warn' : 'good'} title="This host has taken the archive in">
      <p>{parts.join(', ')}.</p>
      {reasons.length > 0 && (
        <ul>
          {reasons.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
      )}
    </Notice>
  )
}
