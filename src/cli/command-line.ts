import { basename } from 'node:path'

import { runCommandLine } from './program.ts'
import { environmentVariables } from '../config/environment-variables.ts'
import { systemEnvironment } from '../platform/system.ts'

// A reader such as `head` may have seen enough and left.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const cleanups = new Set<() => void>()
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

function interrupt(signal: NodeJS.Signals): void {
  for (const clean of cleanups) clean()
  for (const name of SIGNALS) process.off(name, interrupt)
  process.kill(process.pid, signal)
}

function onInterrupt(clean: () => void): () => void {
  // Only while there is something to clean: a handler that always stood there would keep a signal from ending the process.
  if (cleanups.size === 0) for (const name of SIGNALS) process.on(name, interrupt)
  cleanups.add(clean)
  return () => {
    cleanups.delete(clean)
    if (cleanups.size === 0) for (const name of SIGNALS) process.off(name, interrupt)
  }
}

/** What a command leaves open, such as a kept connection, does not keep the process alive for longer than this. */
const LINGER_MS = 2000

process.exitCode = await runCommandLine(process.argv.slice(2), {
  environment: systemEnvironment(),
  env: environmentVariables(),
  cwd: process.cwd(),
  command:
    basename(process.argv[1] ?? '') === 'main.js' && !import.meta.url.includes('/node_modules/')
      ? 'npx avatar-kv'
      : 'avatar-kv',
  stdin: process.stdin,
  terminal: process.stdout.isTTY === true,
  stdout: process.stdout,
  draw: process.stderr.isTTY ? (line) => void process.stderr.write(`\r\u001b[2K${line}`) : undefined,
  onInterrupt,
  out: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
})
setTimeout(() => process.exit(), LINGER_MS).unref()
