import { useState } from 'preact/hooks'
import type { VerifiedAvatar } from '../../client/index.ts'
import { Notice } from '../parts/notice.tsx'
import { SignerPanel } from '../parts/signer-panel.tsx'
import { useApp, useChanges } from '../data/app-context.ts'
import { visible } from '../data/format-visible.ts'
import { changeOf, type Target } from '../data/prepare.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import { avatarHref } from '../routes.ts'
import { Editor } from './editor.tsx'
import { ProfileForm } from './profile-form.tsx'

const PLATFORM = /^[a-z0-9._-]{1,64}$/

interface Props {
  readonly view: Extract<AvatarView, { phase: 'ready' }>
  readonly focus: URLSearchParams
}

export function EditView({ view, focus }: Props) {
  const { known } = view
  const { activeSigner, outbox, drafts } = useApp()
  const { waiting } = useChanges(known.avatar)
  const [target, setTarget] = useState<Target>(
    () => targetInAddress(focus) ?? drafts.latest(known.avatar) ?? firstTarget(known),
  )
  const againId = focus.get('again') ?? ''
  const again = outbox.find(againId)
  const change = again?.verdict === undefined ? undefined : changeOf(again)
  const isOwner = activeSigner?.signer.avatar === known.avatar
  // A new key is in this page alone: what it signs would be lost with it.
  const signer = isOwner && activeSigner.made === undefined ? activeSigner.signer : undefined
  const isJson = focus.get('as') === 'json' || againId !== ''
  return (
    <section aria-labelledby="edit-title">
      <div class="section-head">
        <h2 id="edit-title">Edit</h2>
        <div class="choice">
          <a href={avatarHref(known.avatar, 'edit')} aria-current={isJson ? undefined : 'true'}>
            Profile
          </a>
          <a href={avatarHref(known.avatar, 'edit', { as: 'json' })} aria-current={isJson ? 'true' : undefined}>
            Advanced
          </a>
        </div>
      </div>
      <SignerPanel />
      {activeSigner !== undefined && !isOwner && (
        <Notice tone="warn" title="This avatar is not yours">
          <p>
            Only the key of this avatar can change it.{' '}
            <a href={avatarHref(activeSigner.signer.avatar, 'edit')}>Edit yours</a>, or sign with another account.
          </p>
        </Notice>
      )}
      {isJson ? (
        <>
          <NamespaceChoice known={known} target={target} onChoose={setTarget} />
          <Editor
            key={`${target.platform}\n${target.identity}`}
            view={view}
            waiting={waiting}
            desired={{ avatar: known.avatar, target, again: againId }}
            signer={signer}
            again={again?.avatar === known.avatar && change !== undefined && same(change, target) ? again : undefined}
          />
        </>
      ) : (
        <ProfileForm view={view} waiting={waiting} signer={signer} />
      )}
    </section>
  )
}

function targetInAddress(focus: URLSearchParams): Target | undefined {
  const platform = focus.get('platform')
  const identity = focus.get('identity')
  return platform !== null && identity !== null && PLATFORM.test(platform) ? { platform, identity } : undefined
}

function firstTarget({ avatar, namespaces }: VerifiedAvatar): Target {
  const own = namespaces.find((each) => each.platform === 'nextid')
  return own === undefined && namespaces[0] !== undefined ? namespaces[0] : { platform: 'nextid', identity: avatar }
}

interface ChoiceProps {
  readonly known: VerifiedAvatar
  readonly target: Target
  readonly onChoose: (target: Target) => void
}

const NEW = 'new'

/** Chooses the content to edit: the profile data, that of a linked account, or a new one. */
function NamespaceChoice({ known, target, onChoose }: ChoiceProps) {
  const [isNew, setIsNew] = useState(false)
  const [platform, setPlatform] = useState('')
  const [identity, setIdentity] = useState('')
  const [error, setError] = useState('')
  const own: Target = { platform: 'nextid', identity: known.avatar }
  const others: Target[] = known.namespaces.filter((each) => each.platform !== 'nextid')
  const isListed = [own, ...others].some((each) => same(each, target))
  const choices = isListed ? [own, ...others] : [own, ...others, target]

  function add(event: Event): void {
    event.preventDefault()
    const name = platform.trim().toLowerCase()
    if (!PLATFORM.test(name))
      return setError('That is not the name of a platform. Use small letters, digits, and . _ - such as twitter.')
    if (name === 'nextid') return setError('nextid stands for the profile data. Choose “Profile data” in the list.')
    if (identity.trim() === '') return setError('The account is missing. Type its name on that platform.')
    setError('')
    setIsNew(false)
    onChoose({ platform: name, identity: identity.trim() })
  }

  return (
    <>
      <label for="namespace">What to edit</label>
      <select
        id="namespace"
        value={isNew ? NEW : String(choices.findIndex((each) => same(each, target)))}
        onChange={(event) => {
          const { value } = event.currentTarget
          const chosen = choices[Number(value)]
          setIsNew(value === NEW)
          if (value !== NEW && chosen !== undefined) onChoose({ platform: chosen.platform, identity: chosen.identity })
        }}
      >
        {choices.map((each, at) => (
          <option key={`${each.platform}\n${each.identity}`} value={String(at)}>
            {each.platform === 'nextid' ? 'Profile data' : visible(`${each.platform} / ${each.identity}`)}
          </option>
        ))}
        <option value={NEW}>A linked account…</option>
      </select>
      {isNew && (
        <form class="card" onSubmit={add}>
          <div class="row">
            <span>
              <label for="platform">Platform</label>
              <input
                id="platform"
                value={platform}
                placeholder="twitter"
                autocapitalize="off"
                onInput={(event) => setPlatform(event.currentTarget.value)}
              />
            </span>
            <span>
              <label for="identity">Account</label>
              <input
                id="identity"
                value={identity}
                placeholder="alice"
                autocapitalize="off"
                onInput={(event) => setIdentity(event.currentTarget.value)}
              />
            </span>
            <button type="submit">Open</button>
          </div>
          <p class="error" role="alert">
            {error}
          </p>
        </form>
      )}
    </>
  )
}

function same(a: Target, b: Target): boolean {
  return a.platform === b.platform && (a.identity === b.identity || a.platform === 'nextid')
}
