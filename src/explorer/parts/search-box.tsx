import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { parseQuery } from '../data/query.ts'
import { avatarHref, searchHref } from '../routes.ts'
import { Icon } from './icon.tsx'

/** Finds an avatar. The key `/` brings the focus here. @param query what the address of the page asks for */
export function SearchBox({ query, isLarge = false }: { query: string; isLarge?: boolean }) {
  const [text, setText] = useState(query)
  const field = useRef<HTMLInputElement>(null)
  // Before the browser paints: a later effect would overwrite what the person typed meanwhile.
  useLayoutEffect(() => setText(query), [query])
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
      event.preventDefault()
      field.current?.select()
      field.current?.focus()
    }
    addEventListener('keydown', focus)
    return () => removeEventListener('keydown', focus)
  }, [])
  return (
    <form
      role="search"
      class={isLarge ? 'search large' : 'search'}
      onSubmit={(event) => {
        event.preventDefault()
        const next = parseQuery(text)
        location.hash = next.kind === 'avatar' ? avatarHref(next.avatar) : searchHref(text.trim())
      }}
    >
      <label for="search" class="visually-hidden">
        Find an avatar
      </label>
      <Icon name="search" />
      <input
        id="search"
        ref={field}
        type="search"
        value={text}
        placeholder={isLarge ? 'Name, key or account' : 'Find an avatar'}
        autocapitalize="off"
        autocomplete="off"
        spellcheck={false}
        enterkeyhint="search"
        aria-invalid={parseQuery(query).kind === 'wrong'}
        aria-describedby={isLarge ? 'search-help' : undefined}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  )
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  )
}
