import { getBytes, type HDNodeWallet } from 'ethers'
import type { Page } from 'playwright-core'

/** What a wallet says when the person declines. */
export interface Declines {
  /** Undefined: the person agrees. */
  now: { readonly code: number | string; readonly message: string } | undefined
}

export const DECLINED = { code: 4001, message: 'User rejected the request.' } as const

/** Puts a wallet into pages as extensions do (EIP-1193); its key is real, and stays outside the page. */
export function injectWallet(wallet: HDNodeWallet, declines: Declines = { now: undefined }) {
  return async (page: Page): Promise<void> => {
    await exposeWallet(page, 'walletRequest', wallet, declines)
    await page.addInitScript(`globalThis.ethereum = (${providerSource})('walletRequest')`)
  }
}

/** Puts a wallet into pages that announces itself when it is asked to (EIP-6963). */
export function announceWallet(name: string, wallet: HDNodeWallet, declines: Declines = { now: undefined }) {
  const call = `walletRequest${name.replaceAll(/\W/g, '')}`
  const icon =
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Crect width='8' height='8' fill='%23c60'/%3E%3C/svg%3E"
  const info = JSON.stringify({ uuid: `uuid of ${name}`, name, icon, rdns: 'example.wallet' })
  return async (page: Page): Promise<void> => {
    await exposeWallet(page, call, wallet, declines)
    await page.addInitScript(`{
      const detail = Object.freeze({ info: ${info}, provider: (${providerSource})('${call}') })
      const announce = () => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
      addEventListener('eip6963:requestProvider', announce)
      announce()
    }`)
  }
}

async function exposeWallet(page: Page, call: string, wallet: HDNodeWallet, declines: Declines): Promise<void> {
  await page.exposeFunction(call, async (method: string, params: string[]) => {
    if (method === 'eth_requestAccounts') return { result: [wallet.address] }
    if (method !== 'personal_sign') return { error: { code: 4200, message: `${method} is not supported` } }
    if (declines.now !== undefined) return { error: declines.now }
    return { result: await wallet.signMessage(getBytes(params[0]!)) }
  })
}

/** Runs in the page: makes a provider of a function there. */
const providerSource = `(call) => ({
  async request({ method, params }) {
    const { result, error } = await globalThis[call](method, params)
    if (error !== undefined) throw error
    return result
  },
})`
