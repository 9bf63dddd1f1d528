import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Programs that people start first. */
const PROGRAMS = ['dist/main.js', 'config/build.js'].map((path) => resolve(path))
const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } }
const REQUIRED = engines.node.replace('>=', '')

/** Runs a program as the given version of Node.js would: no other file of this project can be loaded. */
function runOn(version: string, program: string) {
  const hooks = `export async function resolve(specifier, context, next) {
    if (specifier.startsWith('.')) throw new Error('imports ' + specifier)
    return next(specifier, context)
  }`
  const preload = `import { register } from 'node:module'
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
  const args = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`, program, 'start']
  return new Promise<{ code: unknown; out: string; err: string }>((resolve) => {
    execFile(process.execPath, args, (error, out, err) => resolve({ code: error?.code ?? 0, out, err }))
  })
}

describe.each(PROGRAMS)('%s', (program) => {
  it.each(['12.22.12', '18.20.8', '20.18.3'])(
    'says on Node.js %s what it needs, before it loads anything',
    async (version) => {
      const { code, out, err } = await runOn(version, program)
      expect(code).toBe(1)
      expect(out).toBe('')
      expect(err).toContain(`Node.js ${version} is too old: avatar-kv needs ${REQUIRED} or newer. Install`)
      expect(err.trim().split('\n')).toHaveLength(1)
    },
  )

  it('has no syntax and no import that Node.js 12 does not know', () => {
    // The hash in the name of a bundled file may look like a number with a separator.
    const text = readFileSync(program, 'utf8').replace(/\.\/bundle\/[\w-]+\.js/g, '')
    expect(text).not.toMatch(/\?\.|\?\?|from 'node:|^\s*await import|if .*\) await |\d_\d|#!\[/m)
  })
})

it('takes the version that package.json asks for', async () => {
  expect((await runOn(`${REQUIRED}.0`, PROGRAMS[0]!)).err).toMatch(/imports \.\/.*command-line/)
})
