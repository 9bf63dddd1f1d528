import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { blocksOf, PAGES, readPage } from './blocks.ts'

/** What must hold of every page that people wrote: the places and commands that it names are there. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Pages whose programs a test of their own runs: test/client/page.test.ts, test/links/page.test.ts, test/replica/page.test.ts. */
const PAGES_WITH_PROGRAMS = ['docs/client.md', 'docs/links.md', 'docs/replica.md']

/** Text without its fenced blocks. */
const prose = (page: string): string => readPage(page).replaceAll(/^( *)```[^]*?^\1```$/gm, '')

/** Paths of the project in backticks, as `src/store` or `test/http/docs.test.ts`; not globs. */
function pathsIn(page: string): string[] {
  const found = prose(page).matchAll(/`((?:src|test|config|docs|\.ci|\.github)\/[\w./-]*)`/g)
  return [...found].map(([, path]) => path ?? '')
}

function linksIn(page: string): string[] {
  return [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? '')
}

/** The anchors that GitHub makes of a page's headings. */
function anchorsOf(page: string): string[] {
  return [...prose(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function problemOf(page: string, link: string): string | undefined {
  if (/^(https?|mailto):/.test(link)) return undefined
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : normalize(join(dirname(page), decodeURIComponent(path)))
  if (!existsSync(join(ROOT, target))) return `${link}: there is no ${target}`
  if (anchor === undefined || statSync(join(ROOT, target)).isDirectory()) return undefined
  return anchorsOf(target).includes(anchor) ? undefined : `${link}: ${target} has no such heading`
}

it('the pages are found', () => {
  expect(PAGES).toEqual(expect.arrayContaining(['README.md', 'docs/architecture.md', 'docs/decisions/README.md']))
  expect(PAGES.flatMap(pathsIn).length).toBeGreaterThan(30)
  expect(PAGES.flatMap(linksIn).length).toBeGreaterThan(50)
})

it('the table of parts has every folder of src/', () => {
  const [, table = ''] = readPage('docs/architecture.md').split('## The parts\n')
  const rows = [...(table.split('\n## ', 1)[0] ?? '').matchAll(/^\| (`.*?`) \|/gm)].map(([, names = '']) => names)
  const named = rows.flatMap((names) => [...names.matchAll(/`([\w-]+)`/g)].map(([, name]) => name))
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  expect(named.toSorted()).toEqual(folders.map(({ name }) => name).toSorted())
})

describe.each(PAGES)('%s', (page) => {
  it('names files and folders that exist', () => {
    expect(pathsIn(page).filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  it('links to pages and headings that exist', () => {
    expect(linksIn(page).flatMap((link) => problemOf(page, link) ?? [])).toEqual([])
  })

  it('names scripts that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
    const named = [...readPage(page).matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name = '']) => name)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  it('has only programs that a test runs, or that say why none does', () => {
    const blocks = blocksOf(page)
    const runs = ['sh', ...(PAGES_WITH_PROGRAMS.includes(page) ? ['js'] : [])]
    const programs = blocks.filter(({ language }) =>
      /^(sh|bash|shell|console|js|jsx|ts|tsx|javascript|typescript)$/.test(language),
    )
    const untold = programs.filter(({ language, notRun }) => notRun === undefined && !runs.includes(language))
    expect(untold.map(({ place }) => place)).toEqual([])
    const marks = [...readPage(page).matchAll(/<!-- not run:/g)].length
    expect(marks).toBe(blocks.filter(({ notRun }) => notRun !== undefined).length)
  })
})
