import { useState } from 'preact/hooks'
import { privateKeySigner, walletSigner, type Eip1193Provider } from '../../client/index.ts'
import { useDesk } from '../data/context.ts'
import { messageOf } from '../data/format.ts'
import { Copy, Hex } from './hex.tsx'
import { Notice } from './notice.tsx'

/** Wallets put themselves there (EIP-1193). */
function injectedWallet(): Eip1193Provider | undefined {
  return (globalThis as { ethereum?: Eip1193Provider }).ethereum
}

/** Chooses who signs: a wallet, a pasted key, or a new one. */
export function PenPanel() {
  const { pen, takePen } = useDesk()
  const [error, setError] = useState('')
  const [busy, setBusy] = useState('')
  const [keyText, setKeyText] = useState('')
  const wallet = injectedWallet()

  async function useWallet(provider: Eip1193Provider): Promise<void> {
    setError('')
    setBusy('Look at your wallet: it asks for an account, and for a signature that shows its public key.')
    try {
      takePen({ signer: await walletSigner(provider), kind: 'wallet' })
    } catch (failure) {
      setError(messageOf(failure))
    }
    setBusy('')
  }

  function usePasted(event: Event): void {
    event.preventDefault()
    setError('')
    try {
      takePen({ signer: privateKeySigner(keyText), kind: 'key' })
      setKeyText('')
    } catch (failure) {
      setError(messageOf(failure))
    }
  }

  function makeKey(): void {
    setError('')
    // A random number is in the curve's range but for one in 2^127; then the signer says so.
    const random = crypto.getRandomValues(new Uint8Array(32))
    const made = `0x${Array.from(random, (each) => each.toString(16).padStart(2, '0')).join('')}`
    takePen({ signer: privateKeySigner(random), kind: 'key', made })
  }

  if (pen !== undefined) {
    return (
      <div class="card pen">
        <p>
          Signing as <Hex value={pen.signer.avatar} label="your avatar" />{' '}
          {pen.kind === 'wallet' ? 'with your wallet' : 'with a key in this page’s memory'}{' '}
          <button type="button" class="small quiet" onClick={() => takePen(undefined)}>
            {pen.kind === 'wallet' ? 'Let go' : 'Forget the key'}
          </button>
        </p>
        {pen.made !== undefined && (
          <Notice tone="warn" title="Keep this key: it is nowhere but here">
            <p>It is gone when the page closes. Whoever has it writes as this avatar; nobody can give you another.</p>
            <p class="secret">
              <code>{pen.made}</code> <Copy text={pen.made} label="Copy the secret key" />
            </p>
            <p>
              <button type="button" class="small" onClick={() => takePen({ signer: pen.signer, kind: pen.kind })}>
                I have kept it: do not show it again
              </button>
            </p>
          </Notice>
        )}
      </div>
    )
  }
  return (
    <div class="card pen">
      <h3>Who signs?</h3>
      {wallet === undefined ? (
        <p class="hint">No browser wallet was found. With one installed, your key never leaves it.</p>
      ) : (
        <p>
          <button type="button" class="primary" disabled={busy !== ''} onClick={() => void useWallet(wallet)}>
            Use my wallet
          </button>
        </p>
      )}
      <details open={wallet === undefined}>
        <summary>Use a secret key</summary>
        <form onSubmit={usePasted}>
          <label for="secret-key">Secret key, 64 hex digits</label>
          <div class="row">
            <input
              id="secret-key"
              type="password"
              autocomplete="off"
              spellcheck={false}
              value={keyText}
              aria-describedby="secret-help"
              onInput={(event) => setKeyText(event.currentTarget.value)}
            />
            <button type="submit">Use it</button>
            <button type="button" onClick={makeKey}>
              Make a new key
            </button>
          </div>
          <p id="secret-help" class="hint">
            It stays in this page’s memory and is sent to nobody. Paste one only where you trust the host that serves
            this page.
          </p>
        </form>
      </details>
      <p role="status">{busy}</p>
      <p class="error" role="alert">
        {error}
      </p>
    </div>
  )
}
