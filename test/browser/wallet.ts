import { getBytes, type HDNodeWallet } from 'ethers'
import type { Page } from 'playwright-core'

/** Puts a wallet into pages as extensions do (EIP-1193); its key is real, and stays outside the page. */
export function injectWallet(wallet: HDNodeWallet, declines: { now: boolean } = { now: false }) {
  return async (page: Page): Promise<void> => {
    await page.exposeFunction('walletRequest', async (method: string, params: string[]) => {
      if (method === 'eth_requestAccounts') return { result: [wallet.address] }
      if (method !== 'personal_sign') return { error: { code: 4200, message: `${method} is not supported` } }
      if (declines.now) return { error: { code: 4001, message: 'User rejected the request.' } }
      return { result: await wallet.signMessage(getBytes(params[0]!)) }
    })
    await page.addInitScript(() => {
      const ask = globalThis as unknown as {
        walletRequest(method: string, params: unknown): Promise<{ result?: unknown; error?: object }>
        ethereum: object
      }
      ask.ethereum = {
        async request({ method, params }: { method: string; params?: unknown }) {
          const { result, error } = await ask.walletRequest(method, params)
          if (error !== undefined) throw error
          return result
        },
      }
    })
  }
}
