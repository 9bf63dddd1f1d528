import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../../', import.meta.url)

/** A fenced block of a page. */
export interface Block {
  /** For example `README.md:32`, the line of the fence. */
  readonly place: string
  /** The word after the fence; empty without one. */
  readonly language: string
  readonly text: string
  /** Why the tests do not run it: from `<!-- not run: … -->` in the line above the fence. */
  readonly notRun: string | undefined
  /** What it prints: the `text` block that follows it with nothing but blank lines between. */
  readonly output: string | undefined
}

/** The pages that people wrote, by path: the README files, and all of docs/ but the generated docs/api. */
export const PAGES: readonly string[] = [
  'README.md',
  'test/README.md',
  ...readdirSync(fileURLToPath(new URL('docs', ROOT)), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !/^api[/\\]/.test(name))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`),
].toSorted()

export function readPage(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** The fenced blocks of a page, in order; also those inside lists, without their indentation. */
export function blocksOf(path: string): Block[] {
  const lines = readPage(path).split('\n')
  const blocks: (Block & { readonly end: number })[] = []
  for (let at = 0; at < lines.length; at++) {
    const [, indent, language] = /^( *)```(\S*)/.exec(lines[at] ?? '') ?? []
    if (indent === undefined || language === undefined) continue
    const end = lines.findIndex((line, index) => index > at && line === `${indent}\`\`\``)
    if (end < 0) throw new Error(`${path}:${at + 1}: this block does not end`)
    const text = lines.slice(at + 1, end).map((line) => line.slice(indent.length))
    const [, notRun] = /^ *<!-- not run: (.+) -->$/.exec(lines[at - 1] ?? '') ?? []
    const before = blocks.at(-1)
    if (language === 'text' && before !== undefined && lines.slice(before.end + 1, at).every((line) => line === '')) {
      blocks[blocks.length - 1] = { ...before, output: text.join('\n') }
    }
    blocks.push({ place: `${path}:${at + 1}`, language, text: text.join('\n'), notRun, output: undefined, end })
    at = end
  }
  return blocks
}
