import { parseAvatar } from '../../client/index.ts'
import { attempt } from '../data/attempt.ts'
import { avatarHref } from '../routes.ts'

/** An avatar as a host names it. Version 1 names avatars by their uncompressed keys. */
export function AvatarLink({ avatar }: { avatar: string }) {
  const canonical = attempt(() => parseAvatar(avatar))
  if (canonical === undefined) return <span>The host names something here that is no avatar.</span>
  return (
    <span class="avatar-link">
      <a href={avatarHref(canonical)}>
        <code>{`${canonical.slice(0, 14)}…${canonical.slice(-8)}`}</code>
      </a>
    </span>
  )
}
