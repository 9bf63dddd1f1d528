import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { transpile, ScriptTarget } from 'typescript'
import { describe, expect, test } from 'vitest'

/** The module as JavaScript, which Node.js 20 runs. */
const MODULE = transpile(readFileSync(new URL('../../src/platform/v8-flags.ts', import.meta.url), 'utf8'), {
  target: ScriptTarget.ESNext,
})
/** By default V8 optimizes a small function before 500 calls, and with the budget here after 1,800: it counts bytecode, not time. */
const CALLS = 1_000

/** Whether a process that calls a function so often has it compiled by the optimizing compiler. */
function isOptimized(first: string): boolean {
  const script = `${MODULE}
    ${first}
    function small(value) { let sum = 0; for (let at = 0; at < 10; at++) sum += value ^ at; return sum }
    for (let call = 0; call < ${CALLS}; call++) small(call)`
  const flags = ['--trace-opt', '--no-use-osr', '--input-type=module']
  const lines = execFileSync(process.execPath, [...flags, '--eval', script], { encoding: 'utf8' })
  return /marking .*<JSFunction small/.test(lines)
}

describe('optimizeLater', () => {
  test('V8 optimizes a function that is called a thousand times only without it', () => {
    expect(isOptimized('')).toBe(true)
    expect(isOptimized('optimizeLater()')).toBe(false)
  })
})
