import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { mergePatchOf, PROFILE_KEY, profileOf, type JsonObject, type Profile, type Signer } from '../../client/index.ts'
import { Face } from '../parts/face.tsx'
import { Icon } from '../parts/icon.tsx'
import { useApp } from '../data/app-context.ts'
import { pictureOf } from '../data/picture.ts'
import type { Desired } from '../data/drafts.ts'
import { contentWith, prepare, type Prepared } from '../data/prepare.ts'
import type { AvatarView } from '../data/use-avatar.ts'
import type { SignedChange } from '../data/outbox-entry.ts'
import { Review } from './review.tsx'
import { Sent } from './sent.tsx'

interface Props {
  readonly view: Extract<AvatarView, { phase: 'ready' }>
  readonly waiting: readonly SignedChange[]
  readonly signer: Signer | undefined
}

interface Fields {
  readonly name: string
  readonly bio: string
  readonly picture: string
  readonly links: readonly { readonly title: string; readonly url: string }[]
}

type Stage =
  | { readonly at: 'writing' }
  | {
      readonly at: 'review'
      readonly before: JsonObject
      readonly after: JsonObject
      readonly prepared: readonly Prepared[]
    }
  | { readonly at: 'sent'; readonly record: SignedChange }

const MAX_LINKS = 16

/** Edits the profile of an avatar in a form. Values that other apps stored there stay. */
export function ProfileForm({ view, waiting, signer }: Props) {
  const { known } = view
  const { drafts } = useApp()
  const target = { platform: 'nextid', identity: known.avatar }
  const desired: Desired = { avatar: known.avatar, target, again: 'profile' }
  const now = contentWith(known, waiting, target)
  const saved = JSON.stringify(fieldsOf(profileOf(now)))
  const [fields, setFields] = useState<Fields>(() => JSON.parse(drafts.get(desired)?.text ?? saved) as Fields)
  const [stage, setStage] = useState<Stage>({ at: 'writing' })
  const [error, setError] = useState('')
  const isChanged = JSON.stringify(fields) !== saved
  // Nothing was typed: new content replaces the old.
  useEffect(() => {
    if (drafts.get(desired) === undefined) setFields(JSON.parse(saved) as Fields)
  }, [saved])

  function change(next: Partial<Fields>): void {
    const all = { ...fields, ...next }
    setFields(all)
    const text = JSON.stringify(all)
    if (text === saved) drafts.drop(desired)
    else drafts.set(desired, { before: now, text })
  }

  function startOver(): void {
    drafts.drop(desired)
    setFields(JSON.parse(JSON.stringify(fieldsOf(profileOf(contentWith(known, waiting, target))))) as Fields)
    setStage({ at: 'writing' })
    setError('')
  }

  function toReview(event: Event): void {
    event.preventDefault()
    const wrong = faultOf(fields)
    setError(wrong ?? '')
    if (wrong !== undefined) return
    const after = withProfile(now, fields)
    try {
      const patch = mergePatchOf(now, after)
      if (patch === undefined) return setError('Nothing is changed yet.')
      setStage({ at: 'review', before: now, after, prepared: prepare(known, waiting, target, patch) })
    } catch (failure) {
      setError(messageOf(failure))
    }
  }

  async function choosePicture(file: File | undefined): Promise<void> {
    if (file === undefined) return
    setError('')
    try {
      change({ picture: await pictureOf(file) })
    } catch (failure) {
      setError(messageOf(failure))
    }
  }

  if (stage.at === 'sent') return <Sent view={view} {...stage} onDone={startOver} />
  if (stage.at === 'review') {
    return (
      <Review
        target={target}
        {...stage}
        signer={signer}
        onBack={() => setStage({ at: 'writing' })}
        onSent={(record) => {
          drafts.drop(desired)
          setStage({ at: 'sent', record })
        }}
      />
    )
  }
  return (
    <form class="profile-form" onSubmit={toReview} noValidate>
      <div class="picture-field">
        <Face avatar={known.avatar} profile={{ picture: fields.picture === '' ? null : fields.picture }} />
        <div>
          <label for="profile-picture">Picture</label>
          <input
            id="profile-picture"
            type="file"
            accept="image/*"
            onChange={(event) => void choosePicture(event.currentTarget.files?.[0])}
          />
          {fields.picture !== '' && (
            <button type="button" class="small quiet" onClick={() => change({ picture: '' })}>
              Remove the picture
            </button>
          )}
        </div>
      </div>
      <label for="profile-name">Name</label>
      <input
        id="profile-name"
        value={fields.name}
        dir="auto"
        maxLength={256}
        autocomplete="name"
        onInput={(event) => change({ name: event.currentTarget.value })}
      />
      <label for="profile-bio">About</label>
      <textarea
        id="profile-bio"
        rows={4}
        dir="auto"
        maxLength={4_096}
        value={fields.bio}
        onInput={(event) => change({ bio: event.currentTarget.value })}
      />
      <fieldset>
        <legend>Links</legend>
        {fields.links.map((link, at) => {
          const put = (part: Partial<typeof link>): void =>
            change({ links: fields.links.map((each, n) => (n === at ? { ...each, ...part } : each)) })
          return (
            <div class="link-field" key={at}>
              <input
                aria-label={`Title of link ${at + 1}`}
                placeholder="Title"
                value={link.title}
                dir="auto"
                onInput={(event) => put({ title: event.currentTarget.value })}
              />
              <input
                aria-label={`Address of link ${at + 1}`}
                placeholder="https://…"
                inputMode="url"
                value={link.url}
                onInput={(event) => put({ url: event.currentTarget.value })}
              />
              <button
                type="button"
                class="icon-button quiet"
                aria-label={`Remove link ${at + 1}`}
                onClick={() => change({ links: fields.links.filter((_, n) => n !== at) })}
              >
                <Icon name="close" />
              </button>
            </div>
          )
        })}
        {fields.links.length < MAX_LINKS && (
          <button
            type="button"
            class="small"
            onClick={() => change({ links: [...fields.links, { title: '', url: '' }] })}
          >
            Add a link
          </button>
        )}
      </fieldset>
      <p class="actions">
        <button type="submit" class="primary" disabled={signer === undefined || !isChanged}>
          Review the change
        </button>
        {isChanged && (
          <button type="button" onClick={startOver}>
            Discard what I typed
          </button>
        )}
        {signer === undefined && <span class="hint">Choose above who signs.</span>}
      </p>
      <p class="error" role="alert">
        {error}
      </p>
    </form>
  )
}

function fieldsOf({ name, bio, picture, links }: Profile): Fields {
  return { name: name ?? '', bio: bio ?? '', picture: picture ?? '', links }
}

/** What readers would leave out, in words; undefined if all of it is of the form. */
function faultOf(fields: Fields): string | undefined {
  const read = profileOf(withProfile({}, fields))
  if (fields.name.trim() !== '' && read.name === null) {
    return 'The name cannot be used: it has more than 256 bytes, a control character, or more than four marks on one letter.'
  }
  if (fields.bio.trim() !== '' && read.bio === null) {
    return 'The text about you cannot be used: it has more than 4,096 bytes, a control character, or more than four marks on one letter.'
  }
  const at = fields.links.findIndex(
    (link) => profileOf(withProfile({}, { ...fields, links: [link] })).links.length === 0 && link.url.trim() !== '',
  )
  const missing = fields.links.findIndex(({ title, url }) => title.trim() !== '' && url.trim() === '')
  if (at !== -1 || missing !== -1) {
    return `Link ${(at === -1 ? missing : at) + 1} has no address that can be used. Type one that begins with https://.`
  }
  return undefined
}

/** The content with the profile of the form; its other members stay. */
function withProfile(content: JsonObject, { name, bio, picture, links }: Fields): JsonObject {
  const old = content[PROFILE_KEY]
  const members = typeof old === 'object' && old !== null && !Array.isArray(old) ? { ...old } : {}
  const kept = links
    .filter(({ url }) => url.trim() !== '')
    .map(({ title, url }) => ({ title: title.trim() || url.trim(), url: url.trim() }))
  const next = { name: name.trim(), bio: bio.trim(), picture, links: kept }
  for (const [key, value] of Object.entries(next)) {
    if (value.length === 0) delete members[key]
    else members[key] = value
  }
  return { ...content, [PROFILE_KEY]: members }
}
