import { PenPanel } from '../parts/pen-panel.tsx'
import { useDesk } from '../data/context.ts'
import { avatarHref } from '../routes.ts'

/** For people who do not know their avatar yet. */
export function WritePage() {
  const { pen } = useDesk()
  return (
    <>
      <h1>Write as yourself</h1>
      <p class="lead">Your avatar is a public key: that of an account in your wallet, or that of a key of your own.</p>
      <PenPanel />
      {pen !== undefined && (
        <p>
          <a class="button primary" href={avatarHref(pen.signer.avatar, 'edit')}>
            Edit my avatar
          </a>{' '}
          <a class="button" href={avatarHref(pen.signer.avatar)}>
            See my avatar
          </a>
        </p>
      )}
    </>
  )
}
