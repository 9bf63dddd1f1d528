import { SignerPanel } from '../parts/signer-panel.tsx'
import { useApp } from '../data/app-context.ts'
import { avatarHref } from '../routes.ts'

/** For people who do not know their avatar yet. */
export function WritePage() {
  const { activeSigner } = useApp()
  return (
    <>
      <h1>Write as yourself</h1>
      <p class="lead">Your avatar is a public key: that of an account in your wallet, or that of a key of your own.</p>
      <SignerPanel />
      {activeSigner !== undefined && (
        <p>
          <a class="button primary" href={avatarHref(activeSigner.signer.avatar, 'edit')}>
            Edit my avatar
          </a>{' '}
          <a class="button" href={avatarHref(activeSigner.signer.avatar)}>
            See my avatar
          </a>
        </p>
      )}
    </>
  )
}
