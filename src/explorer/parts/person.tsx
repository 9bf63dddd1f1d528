import type { Profile } from '../../client/index.ts'
import { shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { avatarHref } from '../routes.ts'
import { Face } from './face.tsx'

interface Props {
  readonly avatar: string
  readonly profile: Profile
}

/** A link to an avatar. The key always stands beside the name: anyone can take any name. */
export function Person({ avatar, profile }: Props) {
  return (
    <a class="person" href={avatarHref(avatar)}>
      <Face avatar={avatar} profile={profile} />
      <span class="person-text">
        {profile.name !== null && (
          <bdi class="name" dir="auto">
            {visible(profile.name)}
          </bdi>
        )}
        <code title={avatar}>{shortHex(avatar)}</code>
      </span>
    </a>
  )
}
