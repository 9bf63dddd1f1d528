import type { Browser, Page } from 'playwright-core'
import { launchChromium } from '../browser/chromium.ts'
import { createCluster } from '../support/cluster.ts'
import { createWriter } from '../support/writer.ts'
import { median } from './report.ts'
import type { Bench } from './report.ts'

const RECORDS = 5_000
const PAGE_RECORDS = 500
/** Each in a new profile of the browser, in turn with the others, so that all meet the same machine. */
const TURNS = 3

interface Visit {
  /** From the start of the navigation. */
  readonly firstPaintMs: number
  readonly verifiedS: number
  /** Of the verification alone. */
  readonly signaturesS: number
}

export const explorer: Bench = {
  name: 'explorer',
  about: `the page of an avatar of ${RECORDS} records in Chromium, from the navigation to "verified"`,
  async run() {
    const cluster = await createCluster()
    const browser = await launchChromium()
    try {
      const node = await cluster.start('explorer')
      const writer = createWriter('explorer')
      for (let sent = 0; sent < RECORDS; sent += PAGE_RECORDS) {
        await node.api.write(
          Array.from({ length: PAGE_RECORDS }, (_, at) => writer.write({ [`k${at % 50}`]: 'x'.repeat(100) + sent })),
        )
      }
      const address = `${node.url}/#/avatar/${writer.avatar}`
      const [workers, again, noble]: [Visit[], Visit[], Visit[]] = [[], [], []]
      for (let turn = 0; turn < TURNS; turn++) {
        const [first, second] = await visitTwice(browser, address)
        workers.push(first)
        again.push(second)
        // JavaScript is slow enough for one turn.
        if (turn === 0) noble.push((await visitTwice(browser, address, withoutWorkers))[0])
      }
      const of = (visits: readonly Visit[], key: keyof Visit): number => median(visits.map((visit) => visit[key]))
      return [
        { measure: 'first paint', value: of(workers, 'firstPaintMs'), unit: 'ms' },
        { measure: 'verified, first visit', value: of(workers, 'verifiedS'), unit: 's' },
        { measure: 'signatures alone', value: of(workers, 'signaturesS'), unit: 's' },
        { measure: 'verified, second visit', value: of(again, 'verifiedS'), unit: 's' },
        { measure: 'verified without workers (noble)', value: of(noble, 'verifiedS'), unit: 's' },
        { measure: 'signatures alone, noble', value: of(noble, 'signaturesS'), unit: 's' },
        {
          measure: 'noble beside workers, signatures',
          value: of(noble, 'signaturesS') / of(workers, 'signaturesS'),
          unit: 'ratio',
        },
      ]
    } finally {
      await browser.close()
      await cluster.close()
    }
  },
}

async function withoutWorkers(page: Page): Promise<void> {
  await page.addInitScript(() => void Reflect.deleteProperty(globalThis, 'Worker'))
}

async function visitTwice(
  browser: Browser,
  address: string,
  prepare: (page: Page) => Promise<void> = async () => {},
): Promise<readonly [Visit, Visit]> {
  const context = await browser.newContext()
  try {
    const page = await context.newPage()
    await prepare(page)
    await page.goto(address)
    const first = await visit(page)
    // The page stores the verdicts after it has shown them.
    await page.waitForTimeout(1_000)
    await page.reload()
    return [first, await visit(page)]
  } finally {
    await context.close()
  }
}

async function visit(page: Page): Promise<Visit> {
  await page.evaluate(
    (title) =>
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (document.body.innerText.includes(title)) resolve()
          else requestAnimationFrame(look)
        }
        look()
      }),
    `Verified in your browser: ${RECORDS.toLocaleString('en')} signatures`,
  )
  return await page.evaluate(() => ({
    firstPaintMs: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
    verifiedS: performance.now() / 1_000,
    signaturesS: (performance.getEntriesByName('verify')[0]?.duration ?? Number.NaN) / 1_000,
  }))
}
