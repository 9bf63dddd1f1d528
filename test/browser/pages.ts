import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { launchChromium } from './chromium.ts'

/** A busy machine verifies slowly. */
const PATIENCE_MS = 60_000

export interface Pages {
  /** A page of its own context, so that nothing is left over from another. */
  open(url: string, options?: BrowserContextOptions, prepare?: (page: Page) => Promise<unknown>): Promise<Page>
  close(): Promise<void>
  /** What pages complained of: errors, and what their policy kept from loading. */
  readonly complaints: string[]
  /** Every address that pages asked for. */
  readonly requests: string[]
}

export async function openBrowser(): Promise<Pages> {
  const browser: Browser = await launchChromium()
  const contexts: BrowserContext[] = []
  const complaints: string[] = []
  const requests: string[] = []
  return {
    complaints,
    requests,
    async open(url, options = {}, prepare = async () => {}) {
      const context = await browser.newContext({ viewport: { width: 1100, height: 850 }, locale: 'en-GB', ...options })
      contexts.push(context)
      context.setDefaultTimeout(PATIENCE_MS)
      const page = await context.newPage()
      page.on('pageerror', (error) => complaints.push(String(error)))
      page.on('request', (request) => requests.push(request.url()))
      page.on('console', (message) => {
        const text = message.text()
        // The browser's own word on hosts that are down, which tests take down.
        if (message.type() === 'error' && !/^Failed to load resource|ERR_/.test(text)) complaints.push(text)
      })
      await prepare(page)
      await page.goto(url)
      return page
    },
    async close() {
      await Promise.all(contexts.map((context) => context.close()))
      await browser.close()
    },
  }
}
