import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { MUTATIONS } from './mutations.ts'

const SOURCE = join(import.meta.dirname, '../../src')
const OPTIONS = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  newLine: ts.NewLineKind.LineFeed,
}

const compiled = new Map<string, string>()

/** As the simulator has it. */
function compile(file: string): string {
  let code = compiled.get(file)
  if (code === undefined) {
    const source = readFileSync(join(SOURCE, file.replace(/\.js$/, '.ts')), 'utf8')
    code = ts.transpileModule(source, { compilerOptions: OPTIONS }).outputText
    compiled.set(file, code)
  }
  return code
}

test('names are unique', () => {
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length)
})

test.each(MUTATIONS)('$name: what it changes is there, once', ({ changes }) => {
  for (const { file, find, replace } of changes) {
    expect(compile(file).split(find)).toHaveLength(2)
    expect(replace).not.toBe(find)
  }
})
