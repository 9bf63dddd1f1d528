/** The wallets of this browser: all that announce themselves (EIP-6963), and one that is only at `window.ethereum`. */
import { useEffect, useState } from 'preact/hooks'
import type { Eip1193Provider } from '../../client/index.ts'
import { cut } from './format.ts'
import { visible } from './format-visible.ts'

export interface Wallet {
  readonly id: string
  readonly name: string
  /** A `data:` address of an image; undefined if the wallet has none that a page may show. */
  readonly icon: string | undefined
  readonly provider: Eip1193Provider
}

/** Any script in the page may announce wallets. People do not choose among more. */
const MAX_WALLETS = 20
const MAX_NAME_CHARACTERS = 40
const MAX_ICON_CHARACTERS = 256 * 1024

/** Asks wallets to announce themselves, and lists them in the order in which they answer. */
export function useWallets(): readonly Wallet[] {
  const [announced, setAnnounced] = useState<readonly Wallet[]>([])
  useEffect(() => {
    const stop = new AbortController()
    const take = (event: Event): void => {
      const wallet = readWallet((event as CustomEvent<unknown>).detail)
      if (wallet === undefined) return
      setAnnounced((before) => {
        const others = before.filter(({ id }) => id !== wallet.id)
        return others.length >= MAX_WALLETS ? before : [...others, wallet]
      })
    }
    addEventListener('eip6963:announceProvider', take, stop)
    dispatchEvent(new Event('eip6963:requestProvider'))
    return () => stop.abort()
  }, [])
  const { ethereum } = globalThis as { ethereum?: unknown }
  if (!isProvider(ethereum) || announced.some(({ provider }) => provider === ethereum)) return announced
  const name = announced.length === 0 ? 'my wallet' : 'another wallet'
  return [...announced, { id: 'injected', name, icon: undefined, provider: ethereum }]
}

/** @returns undefined if a script announces something that is no wallet */
function readWallet(detail: unknown): Wallet | undefined {
  const { info, provider } = (detail ?? {}) as { info?: Record<string, unknown>; provider?: unknown }
  const { uuid, name, icon } = info ?? {}
  if (typeof uuid !== 'string' || uuid === '' || typeof name !== 'string' || !isProvider(provider)) return undefined
  const isImage = typeof icon === 'string' && icon.startsWith('data:image/') && icon.length <= MAX_ICON_CHARACTERS
  return {
    id: cut(uuid, MAX_NAME_CHARACTERS),
    name: visible(cut(name.trim() === '' ? 'a wallet without a name' : name.trim(), MAX_NAME_CHARACTERS)),
    icon: isImage ? icon : undefined,
    provider,
  }
}

function isProvider(value: unknown): value is Eip1193Provider {
  return typeof value === 'object' && value !== null && 'request' in value && typeof value.request === 'function'
}
