import { useEffect, useRef, useState } from 'preact/hooks'
import { NO_PROFILE, useProfile } from '../data/use-profile.ts'
import { useApp } from '../data/app-context.ts'
import { shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { avatarHref } from '../routes.ts'
import { Face } from './face.tsx'
import { Icon } from './icon.tsx'
import { SignerPanel } from './signer-panel.tsx'

/** Who signs, in the header. Opens a window in which a wallet or a key is chosen. Escape and a click elsewhere close it. */
export function Connect() {
  const { activeSigner } = useApp()
  const [isOpen, setIsOpen] = useState(false)
  const area = useRef<HTMLDivElement>(null)
  const avatar = activeSigner?.signer.avatar
  const profile = useProfile(avatar)
  useEffect(() => {
    if (!isOpen) return
    const stop = new AbortController()
    const close = (): void => setIsOpen(false)
    addEventListener('keydown', (event) => event.key === 'Escape' && close(), stop)
    addEventListener(
      'pointerdown',
      ({ target }) => target instanceof Node && area.current?.contains(target) === false && close(),
      stop,
    )
    addEventListener('hashchange', close, stop)
    return () => stop.abort()
  }, [isOpen])
  return (
    <div class="connect-area" ref={area}>
      <button
        type="button"
        class={avatar === undefined ? 'small primary connect' : 'small connect'}
        aria-expanded={isOpen}
        aria-haspopup="dialog"
        onClick={() => setIsOpen(!isOpen)}
      >
        {avatar === undefined ? (
          <>
            <Icon name="key" /> Connect
          </>
        ) : (
          <>
            <Face avatar={avatar} profile={profile ?? NO_PROFILE} />
            <span class="visually-hidden">You are </span>
            <bdi class="name">{visible(profile?.name ?? shortHex(avatar))}</bdi>
          </>
        )}
      </button>
      {isOpen && (
        <div class="popover" role="dialog" aria-label="Who signs">
          <SignerPanel />
          {avatar !== undefined && (
            <p class="actions">
              <a class="button small" href={avatarHref(avatar)}>
                My avatar
              </a>
              <a class="button small" href={avatarHref(avatar, 'edit')}>
                Edit my profile
              </a>
            </p>
          )}
        </div>
      )}
    </div>
  )
}
