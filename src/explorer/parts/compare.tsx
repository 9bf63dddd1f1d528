import { useState } from 'preact/hooks'
import { originOf } from '../data/session.ts'
import { useDesk } from '../data/context.ts'

/** Adds a host to hold this one against. The page is loaded anew, as only then may it ask that host. */
export function Compare() {
  const { session } = useDesk()
  const [text, setText] = useState('')
  const [error, setError] = useState('')

  function add(event: Event): void {
    event.preventDefault()
    const origin = originOf(text)
    if (origin === undefined) return setError('That is no address of a host. One looks like https://kv.example.org')
    if (origin === location.origin) return setError('That is this host.')
    go([...session.others, origin])
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
  location.assign(`/${query === '' ? '' : `?${query}`}${location.hash}`)
}
