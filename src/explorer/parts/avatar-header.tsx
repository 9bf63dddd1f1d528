import type { Profile } from '../../client/index.ts'
import { shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { Face } from './face.tsx'
import { Hex } from './hex.tsx'
import { Icon } from './icon.tsx'
import { Share } from './share.tsx'

interface Props {
  readonly avatar: string
  readonly profile: Profile
  /** Shows who it is alone, where the person came to do something. */
  readonly isCompact: boolean
}

/** Who an avatar says that it is. The key stands beside the name on every page, for anyone can take any name. */
export function AvatarHeader({ avatar, profile, isCompact }: Props) {
  const { name, bio, links, picture } = profile
  return (
    <header class={isCompact ? 'avatar-head compact' : 'avatar-head'}>
      <Face avatar={avatar} profile={profile} />
      <div class="avatar-who">
        <h1 class="avatar-title">
          {name === null ? 'Avatar' : <bdi dir="auto">{visible(name)}</bdi>} <Hex value={avatar} label="avatar" />
        </h1>
        {bio !== null && !isCompact && (
          <p class="bio" dir="auto">
            {visible(bio)}
          </p>
        )}
        {!isCompact && (links.length > 0 || picture?.startsWith('https:') === true) && (
          <ul class="list links">
            {links.map(({ title, url }) => (
              <li key={url}>
                <OutLink url={url} title={title} />
              </li>
            ))}
            {picture?.startsWith('https:') === true && (
              <li>
                <OutLink url={picture} title="Picture" />
              </li>
            )}
          </ul>
        )}
      </div>
      {!isCompact && (
        <div class="avatar-actions">
          <Share avatar={avatar} name={name === null ? shortHex(avatar) : visible(name)} />
        </div>
      )}
    </header>
  )
}

/** A link to elsewhere, with the host that it leads to: its title may name another. */
function OutLink({ url, title }: { url: string; title: string }) {
  const { hostname } = new URL(url)
  return (
    <a href={url} target="_blank" rel="noopener noreferrer nofollow" title={url}>
      <Icon name="link" /> <bdi class="name">{visible(title === url ? hostname : title)}</bdi>
      {title !== url && <span class="domain">{hostname}</span>}
    </a>
  )
}
