import { useState } from 'preact/hooks'
import { hostFault, hostOf } from '../data/here.ts'
import { useApp } from '../data/app-context.ts'

/** Adds a host to compare this one with. The page loads again, because its policy names the hosts that it may ask. */
export function Compare() {
  const { session } = useApp()
  const [text, setText] = useState('')
  const [error, setError] = useState('')

  function add(event: Event): void {
    event.preventDefault()
    const host = hostOf(text)
    const fault = hostFault(host)
    if (host === undefined || fault !== undefined) return setError(fault ?? '')
    go([...session.others, host])
  }

  return (
    <form class="compare" onSubmit={add}>
      <label for="compare-host">Compare with another host</label>
      <div class="row">
        <input
          id="compare-host"
          inputMode="url"
          autocomplete="url"
          placeholder="https://…"
          value={text}
          aria-describedby="compare-error"
          onInput={(event) => {
            setText(event.currentTarget.value)
            setError('')
          }}
        />
        <button type="submit">Compare</button>
        {session.others.length > 0 && (
          <button type="button" class="quiet" onClick={() => go([])}>
            Ask this host alone
          </button>
        )}
      </div>
      <p id="compare-error" class="error" role="alert">
        {error}
      </p>
    </form>
  )
}

function go(hosts: readonly string[]): void {
  const query = new URLSearchParams(hosts.map((each): [string, string] => ['host', each])).toString()
  location.assign(`./${query === '' ? '' : `?${query}`}${location.hash}`)
}
