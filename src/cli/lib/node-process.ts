import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

import type { Started } from '../../node/node.ts'
import { environmentVariables, VARIABLE_PREFIX } from '../../config/environment-variables.ts'
import { CliError } from './errors.ts'

/** A node starts within a second. A busy machine may be many times slower, and a node that failed has ended long before. */
const START_TIMEOUT_MS = 60_000
/** A node stops within 5 s (docs/protocol.md, "Command line"); a busy machine may add to that. Then it is killed. */
const STOP_TIMEOUT_MS = 15_000
/** Bounds what a failing process can leave in memory. */
const MAX_KEPT_CHARACTERS = 64 * 1024

/** A node in its own process. */
export interface NodeProcess extends Started {
  readonly child: ChildProcess
  /** Stops it by SIGTERM; resolves with its exit code, or null if it had to be killed. */
  stop(): Promise<number | null>
}

/**
 * Runs `avatar-kv start` in its own process and waits until it logs `started`. The process does not get variables
 * `AVATAR_KV_…`.
 *
 * @param main path of the compiled `main.js`
 * @param args arguments after `start`; port 0 in an address takes any free one
 * @throws CliError if it does not start; the message holds its output
 */
export async function startNodeProcess(main: string, args: readonly string[], cwd: string): Promise<NodeProcess> {
  const variables = Object.entries(environmentVariables()).filter(([name]) => !name.startsWith(VARIABLE_PREFIX))
  const child = spawn(process.execPath, [main, 'start', '--log-format', 'json', ...args], {
    cwd,
    env: Object.fromEntries(variables),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('exit', (code) => resolve(code))
  })

  let said = ''
  const keep = (text: string): void => {
    said = (said + text).slice(-MAX_KEPT_CHARACTERS)
  }
  child.stderr.setEncoding('utf8').on('data', keep)
  const started = await new Promise<Started>((resolve, reject) => {
    const fail = (why: string): void => {
      child.kill('SIGKILL')
      reject(new CliError('failed', `A node did not start: ${why}\n${said}`))
    }
    const timer = setTimeout(() => fail(`it said nothing within ${START_TIMEOUT_MS / 1000} s`), START_TIMEOUT_MS)
    createInterface({ input: child.stdout }).on('line', (line) => {
      keep(`${line}\n`)
      const event = parseLine(line)
      if (event?.msg !== 'started') return
      clearTimeout(timer)
      resolve(event as Started & { msg: string })
    })
    child.once('exit', (code) => {
      clearTimeout(timer)
      fail(`it ended with exit code ${code}`)
    })
  })

  return {
    ...started,
    child,
    url: started.url.replace(/\/$/, ''),
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      const code = await exited
      clearTimeout(timer)
      return code
    },
  }
}

function parseLine(line: string): { msg?: unknown } | undefined {
  try {
    return JSON.parse(line) as { msg?: unknown }
  } catch {
    return undefined
  }
}
