import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The Debian package of each program that these tests run. */
const PACKAGES = {
  caddy: 'caddy',
  nginx: 'nginx-light',
  openssl: 'openssl',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  'systemd-analyze': 'systemd',
} as const

export type Tool = keyof typeof PACKAGES

/** A file of docs/deploy, as people copy it. */
export function deployFile(name: string): string {
  return readFileSync(deployPath(name), 'utf8')
}

export function deployPath(name: string): string {
  return fileURLToPath(new URL(`../../docs/deploy/${name}`, import.meta.url))
}

/** @throws Error if the program is missing: these tests check files that people run, so they never pass without it */
export function needTool(tool: Tool): void {
  if (spawnSync(tool, ['--version']).error === undefined) return
  throw new Error(
    `${tool} is not installed, so this test cannot check docs/deploy. Install the Debian package ${PACKAGES[tool]}, or run ` +
      '.ci/run, which unpacks it into .cache.',
  )
}

/** Runs a program to its end. */
export function runTool(tool: Tool, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  needTool(tool)
  const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8', env: { ...process.env, ...env } })
  return { code: status, out: stdout, err: stderr }
}

/** A text with each `from` replaced. @throws Error if one is not in it: then the test would check another file than it says */
export function replaced(text: string, changes: readonly (readonly [from: string, to: string])[]): string {
  return changes.reduce((changed, [from, to]) => {
    if (!changed.includes(from))
      throw new Error(`The file no longer contains ${JSON.stringify(from)}. Correct the test.`)
    return changed.replaceAll(from, to)
  }, text)
}
