import { bytesToHex } from '@noble/hashes/utils.js'
import { useId, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { privateKeySigner, walletSigner } from '../../client/index.ts'
import { useApp, type ActiveSigner } from '../data/app-context.ts'
import { isDeclined } from '../data/format.ts'
import { useWallets, type Wallet } from '../data/wallets.ts'
import { Copy, Hex } from './hex.tsx'
import { Icon } from './icon.tsx'
import { Notice } from './notice.tsx'

/** A key with what people write around it. */
const MAX_KEY_FILE_BYTES = 4_096

/** Chooses what signs: a wallet, a pasted key, or a new key. */
export function SignerPanel() {
  const { activeSigner } = useApp()
  return activeSigner === undefined ? <SignerChoice /> : <Signing activeSigner={activeSigner} />
}

function Signing({ activeSigner }: { activeSigner: ActiveSigner }) {
  const { setActiveSigner } = useApp()
  const { signer, kind, made } = activeSigner
  return (
    <div class="signing">
      <p>
        Signing as <Hex value={signer.avatar} label="your avatar" />{' '}
        {kind === 'wallet' ? `with ${activeSigner.name ?? 'your wallet'}` : 'with a key in this page’s memory'}{' '}
        <button type="button" class="small quiet" onClick={() => setActiveSigner(undefined)}>
          {kind === 'wallet' ? 'Use another' : 'Forget the key'}
        </button>
      </p>
      {made !== undefined && (
        <Notice tone="warn" title="Save this key now: it exists only in this page">
          <p>
            Closing the page loses the key. Everyone who has the key can write as this avatar. Nobody can restore a lost
            key.
          </p>
          <p class="secret">
            <code>{made}</code> <Copy text={made} label="Copy the secret key" />
          </p>
          <p class="actions">
            <a
              class="button small primary"
              href={`data:text/plain,${made}%0A`}
              download={`avatar-${signer.avatar.slice(2, 10)}.key`}
            >
              <Icon name="download" /> Download the key file
            </a>
            <button type="button" class="small" onClick={() => setActiveSigner({ signer, kind })}>
              I have saved it
            </button>
          </p>
          <p class="hint">The key can sign once you have saved it.</p>
        </Notice>
      )}
    </div>
  )
}

function SignerChoice() {
  const { setActiveSigner } = useApp()
  const [error, setError] = useState('')
  const [said, setSaid] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  const [keyText, setKeyText] = useState('')
  const wallets = useWallets()
  // The panel may stand in the header and in the page.
  const id = useId()

  async function useWallet({ provider, name, id: walletId }: Wallet): Promise<void> {
    setError('')
    setIsBusy(true)
    setSaid(
      'Look at your wallet. It asks for an account, and for a signature that shows the public key of the account.',
    )
    try {
      const signer = await walletSigner(provider)
      setActiveSigner({ signer, kind: 'wallet', ...(walletId === 'injected' ? {} : { name }) })
    } catch (failure) {
      setSaid(
        isDeclined(failure) ? 'You declined in the wallet. Nothing was signed. Choose again when you want to.' : '',
      )
      if (!isDeclined(failure)) setError(messageOf(failure))
    }
    setIsBusy(false)
  }

  function usePasted(event: Event): void {
    event.preventDefault()
    setError('')
    try {
      setActiveSigner({ signer: privateKeySigner(keyText), kind: 'key' })
      setKeyText('')
    } catch (failure) {
      setError(messageOf(failure))
    }
  }

  async function useFile(file: File | undefined): Promise<void> {
    if (file === undefined) return
    setError('')
    try {
      if (file.size > MAX_KEY_FILE_BYTES)
        throw new Error('This is no key file. A key file has one line of 64 hex digits.')
      setActiveSigner({ signer: privateKeySigner((await file.text()).trim()), kind: 'key' })
    } catch (failure) {
      setError(messageOf(failure))
    }
  }

  function makeKey(): void {
    setError('')
    // A random number is outside the curve's range once in 2^127; then the signer says so.
    const random = crypto.getRandomValues(new Uint8Array(32))
    const made = `0x${bytesToHex(random)}`
    setActiveSigner({ signer: privateKeySigner(random), kind: 'key', made })
  }

  return (
    <div class="card signer">
      <h3>Who signs?</h3>
      {wallets.length === 0 && (
        <p class="hint">This browser has no wallet. A wallet signs for you, and never shows your key to this page.</p>
      )}
      {wallets.length > 1 && (
        <p class="hint">This browser has several wallets. Choose the one that has your account.</p>
      )}
      <p class="row wallets">
        {wallets.map((wallet) => (
          <button
            key={wallet.id}
            type="button"
            class={wallets.length === 1 ? 'primary' : ''}
            disabled={isBusy}
            onClick={() => void useWallet(wallet)}
          >
            {wallet.icon !== undefined && <img src={wallet.icon} alt="" width="20" height="20" />} Use {wallet.name}
          </button>
        ))}
      </p>
      <p role="status">{said}</p>
      <details open={wallets.length === 0}>
        <summary>Use a key file or a secret key</summary>
        <form onSubmit={usePasted}>
          <label for={`${id}-key`}>Secret key, 64 hex digits</label>
          <div class="row">
            <input
              id={`${id}-key`}
              type="password"
              autocomplete="off"
              spellcheck={false}
              value={keyText}
              aria-describedby={`${id}-help`}
              onInput={(event) => setKeyText(event.currentTarget.value)}
            />
            <button type="submit">Use it</button>
            <button type="button" onClick={makeKey}>
              Make a new key
            </button>
          </div>
          <label for={`${id}-file`}>Or a key file</label>
          <input id={`${id}-file`} type="file" onChange={(event) => void useFile(event.currentTarget.files?.[0])} />
          <p id={`${id}-help`} class="hint">
            The key stays in this page’s memory and is sent to nobody. Paste a key only if you trust the host that
            serves this page.
          </p>
        </form>
      </details>
      <p class="error" role="alert">
        {error}
      </p>
    </div>
  )
}
