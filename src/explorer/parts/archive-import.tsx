import { useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { importArchive, type ImportAnswer } from '../data/node-facts.ts'
import { Loading, Notice } from './notice.tsx'

type ImportStage =
  | { readonly at: 'asked' }
  | { readonly at: 'sending' }
  | { readonly at: 'done'; readonly result: ImportAnswer }
  | { readonly at: 'failed'; readonly message: string }

/** Sends a file to the host, when the person says so. */
export function Import({ file }: { file: File }) {
  const [stage, setStage] = useState<ImportStage>({ at: 'asked' })
  async function send(): Promise<void> {
    setStage({ at: 'sending' })
    try {
      setStage({ at: 'done', result: await importArchive(file) })
    } catch (error) {
      setStage({ at: 'failed', message: messageOf(error) })
    }
  }
  if (stage.at === 'sending') return <Loading what="Sending the archive to this host" />
  if (stage.at === 'done') return <Imported result={stage.result} />
  return (
    <>
      {stage.at === 'failed' && (
        <Notice tone="bad" title="The host did not take the archive">
          {visible(stage.message)}
        </Notice>
      )}
      <p>
        <button type="button" onClick={() => void send()}>
          Import it into this host
        </button>{' '}
        <span class="hint">The host checks every record again. You can repeat the import.</span>
      </p>
    </>
  )
}

function Imported({ result }: { result: ImportAnswer }) {
  const parts = [
    count(result.stored, 'record is new', 'records are new'),
    `${result.duplicate.toLocaleString('en')} there already`,
    ...(result.pending > 0 ? [`${result.pending.toLocaleString('en')} wait for missing records`] : []),
    ...(result.superseded > 0 ? [`${result.superseded.toLocaleString('en')} superseded`] : []),
    ...(result.refused > 0 ? [`${result.refused.toLocaleString('en')} refused`] : []),
    ...(result.invalid > 0 ? [`${result.invalid.toLocaleString('en')} invalid`] : []),
  ]
  return (
    <Notice tone={result.refused + result.invalid > 0 ? 'warn' : 'good'} title="This host has imported the archive">
      <p>{parts.join(', ')}.</p>
      {result.refusals.length > 0 && (
        <ul>
          {result.refusals.map((each) => (
            <li key={each}>{visible(each)}</li>
          ))}
        </ul>
      )}
    </Notice>
  )
}
