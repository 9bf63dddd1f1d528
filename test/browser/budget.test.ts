import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'

/** What a browser loads before it shows something: the page, its script and its style. Over a slow phone line about a second. */
const MOST_BYTES = 115_000
const FOLDER = join(process.cwd(), 'dist/explorer')

it('the start of the explorer is small', () => {
  const html = readFileSync(join(FOLDER, 'index.html'), 'utf8')
  const names = readdirSync(join(FOLDER, 'assets')).filter((name) => html.includes(name))
  expect(names.map((name) => name.split('.').at(-1)).toSorted()).toEqual(['css', 'js'])
  const sizes = names.map((name) => gzipSync(readFileSync(join(FOLDER, 'assets', name))).length)
  const total = sizes.reduce((sum, each) => sum + each, gzipSync(html).length)
  console.log(`the explorer: ${total} bytes with gzip`)
  expect(total).toBeLessThan(MOST_BYTES)
})
