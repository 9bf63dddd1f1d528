import { useChanges } from '../data/app-context.ts'
import { count, shortHex } from '../data/format.ts'
import { avatarHref } from '../routes.ts'
import { Notice } from './notice.tsx'

/** On pages that show no avatar: which avatars have signed changes that the host has not taken. */
export function LeftToDo() {
  const { waiting, declined } = useChanges()
  const left = [...waiting, ...declined]
  if (left.length === 0) return null
  const counts = new Map<string, number>()
  for (const { avatar } of left) counts.set(avatar, (counts.get(avatar) ?? 0) + 1)
  return (
    <Notice
      tone={declined.length > 0 ? 'warn' : 'info'}
      title={`${count(left.length, 'signed change')} not with this host yet`}
    >
      <ul class="waiting">
        {[...counts].map(([avatar, changes]) => (
          <li key={avatar}>
            <a href={avatarHref(avatar)}>{count(changes, 'change')}</a> of{' '}
            <code title={avatar}>{shortHex(avatar)}</code>
          </li>
        ))}
      </ul>
    </Notice>
  )
}
