import type { StateEntry } from '../../client/index.ts'
import { visible } from '../data/format-visible.ts'

/** More keys than a person looks through. The filter finds the others. */
const SHOWN_KEYS = 40

interface Props {
  readonly namespaces: readonly StateEntry[]
}

/** The keys of apps, and the accounts, to jump to. */
export function Contents({ namespaces }: Props) {
  const own = namespaces.find(({ platform }) => platform === 'nextid')
  const keys = Object.keys(own?.content ?? {})
  const accounts = namespaces.filter(({ platform }) => platform !== 'nextid')
  return (
    <nav class="contents" aria-label="Contents">
      {keys.length > 0 && (
        <>
          <h3>Profile data</h3>
          <ul class="list">
            {keys.slice(0, SHOWN_KEYS).map((key) => (
              <li key={key}>
                <button type="button" title={visible(key)} onClick={() => jump('Profile data', key)}>
                  {visible(key)}
                </button>
              </li>
            ))}
          </ul>
          {keys.length > SHOWN_KEYS && <p class="hint">and {keys.length - SHOWN_KEYS} more</p>}
        </>
      )}
      {accounts.length > 0 && (
        <>
          <h3>Accounts</h3>
          <ul class="list">
            {accounts.slice(0, SHOWN_KEYS).map(({ platform, identity }) => {
              const name = visible(`${platform} / ${identity}`)
              return (
                <li key={name}>
                  <button type="button" title={name} onClick={() => jump(name)}>
                    {name}
                  </button>
                </li>
              )
            })}
          </ul>
          {accounts.length > SHOWN_KEYS && <p class="hint">and {accounts.length - SHOWN_KEYS} more</p>}
        </>
      )}
    </nav>
  )
}

/** Scrolls to a content, or to a key in it, and moves the focus there. */
function jump(name: string, key?: string): void {
  const article = [...document.querySelectorAll<HTMLElement>('article.namespace')].find(
    (each) => each.getAttribute('aria-label') === name,
  )
  const text = key === undefined ? undefined : visible(JSON.stringify(key))
  const button = [...(article?.querySelectorAll<HTMLElement>('.json-box > .json > li > .j-key') ?? [])].find(
    (each) => each.textContent === text,
  )
  const target = button ?? article
  target?.scrollIntoView({ block: 'start' })
  button?.focus({ preventScroll: true })
}
