import { useState } from 'preact/hooks'
import { shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { Icon } from './icon.tsx'

/** A long hex number, shortened, with a button that copies all of it. */
export function Hex({ value, label, whole = false }: { value: string; label: string; whole?: boolean }) {
  return (
    <span class="hex">
      <code title={value}>{visible(whole ? value : shortHex(value))}</code>
      <Copy text={value} label={`Copy ${label}`} />
    </span>
  )
}

/** @param text a function if the text is large, so that it is made only when it is copied */
export function Copy({ text, label }: { text: string | (() => string); label: string }) {
  const [said, setSaid] = useState('')
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === 'string' ? text : text())
      setSaid('copied')
    } catch {
      // Only secure origins (https, localhost) have a clipboard.
      setSaid('cannot copy here: select the text yourself')
    }
    setTimeout(() => setSaid(''), 2_000)
  }
  return (
    <span class="copy">
      <button type="button" class="quiet" aria-label={label} title={label} onClick={() => void copy()}>
        <Icon name="copy" />
      </button>
      <span class="said" role="status">
        {said}
      </span>
    </span>
  )
}
