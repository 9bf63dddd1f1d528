import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { run } from './run.ts'

/** How each shell is asked what it would offer after these words; `WORDS` are they, `SCRIPT` is the script's path. */
const SHELLS: Readonly<Record<string, readonly string[]>> = {
  bash: [
    '-c',
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _avatar_kv; printf "%s\\n" "${COMPREPLY[@]}"',
    'bash',
  ],
  zsh: [
    '-fc',
    `compdef() {}; _describe() { print -rl -- "\${names[@]%%:*}" }; compadd() { print -rl -- "$@" }; _files() { print -rl -- * }
     source "$1"; shift; words=("$@"); CURRENT=$#; _avatar_kv`,
    'zsh',
  ],
  fish: ['-c', 'source $argv[1]; complete -C (string join " " -- $argv[2..])'],
}
const installed = (shell: string) =>
  (process.env['PATH'] ?? '').split(delimiter).some((dir) => existsSync(join(dir, shell)))

let cwd: string
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-completion-'))
  writeFileSync(join(cwd, 'profile.json'), '{}')
})
afterAll(() => rmSync(cwd, { recursive: true }))

const scriptOf = async (shell: string): Promise<string> => (await run(['completion', shell], { cwd })).out

describe('completion', () => {
  it.each(Object.keys(SHELLS))('for %s names every command and every option that --help names', async (shell) => {
    const script = await scriptOf(shell)
    const check = async (path: readonly string[]): Promise<void> => {
      const { out } = await run([...path, '--help'], { cwd })
      for (const [, option = ''] of out.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)) expect(script).toContain(option)
      const commands = /^Commands:\n([^]*?)(\n\n|$)/m.exec(out)?.[1] ?? ''
      for (const [, name = ''] of commands.matchAll(/^ {2}(\w[\w-]*)/gm)) {
        if (name === 'help') continue
        expect(script).toContain(name)
        await check([...path, name])
      }
    }
    await check([])
  })

  it('refuses other shells', async () => {
    const { code, err } = await run(['completion', 'csh'], { cwd })
    expect([code, err]).toEqual([2, expect.stringContaining('bash, zsh, fish')])
  })
})

// bash is needed to work on this project (.ci/run); the others are asked where they are installed.
describe.each(Object.keys(SHELLS).filter((shell) => shell === 'bash' || installed(shell)))('%s', (shell) => {
  it.each<[string, string[], string[], string[]]>([
    ['commands', ['h'], ['host'], ['list']],
    ['commands below a command', ['host', ''], ['add', 'request'], ['start']],
    ['options', ['host', 'request', '--'], ['--invite', '--no-wait'], ['--gossip']],
    ['values', ['start', '--hosting-mode', ''], ['all', 'listed'], ['--http']],
    ['arguments that are one of few', ['completion', ''], ['bash', 'zsh', 'fish'], ['host']],
    ['files for an option', ['put', '--file', ''], ['profile.json'], ['--key']],
    ['files for an argument', ['verify', ''], ['profile.json'], ['put']],
    ['after an option that takes a value', ['export', '--node', 'http://x', '--'], ['--gzip'], ['--invite']],
  ])('offers %s', async (_, words, there, absent) => {
    const file = join(cwd, `completion.${shell}`)
    writeFileSync(file, await scriptOf(shell))
    const args = [...SHELLS[shell]!, file, 'avatar-kv', ...words]
    const offered = execFileSync(shell, args, { cwd, encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: cwd } })
      .split('\n')
      .map((line) => line.split('\t')[0])
    expect(offered).toEqual(expect.arrayContaining(there))
    for (const word of absent) expect(offered).not.toContain(word)
  })
})

describe('the manual page', () => {
  it('in the package is that of the commands', async () => {
    const { out } = await run(['man-page'], { cwd })
    expect(readFileSync(resolve('dist/avatar-kv.1'), 'utf8')).toBe(out)
    const { man } = JSON.parse(readFileSync('package.json', 'utf8')) as { man: string }
    expect(man).toBe('./dist/avatar-kv.1')
    expect(readFileSync('config/pack.js', 'utf8')).toContain("'dist/avatar-kv.1'")
  })

  it('says all that --help says of a command', async () => {
    const page = (await run(['man-page'], { cwd })).out
      .replaceAll('\\-', '-')
      .replaceAll('\\e', '\\')
      .replaceAll('\\&', '')
    const words = (text: string): string[] =>
      text.split(/\s+/).filter((word) => !/^\[?(options|command|default:)/.test(word))
    for (const command of ['start', 'put', 'export', 'host request', 'invite create', 'key show', 'completion']) {
      const help = (await run([...command.split(' '), '--help'], { cwd })).out
      for (const word of words(help.replace(/^(Usage|Options|Arguments):/gm, ''))) expect(page).toContain(word)
    }
    expect((await run(['--help'], { cwd })).out).not.toContain('man-page')
  })
})
