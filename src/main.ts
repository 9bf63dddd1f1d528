#!/usr/bin/env node
import { runCommandLine } from './cli/program.ts'
import { environmentVariables } from './config/environment-variables.ts'
import { systemEnvironment } from './system-environment.ts'

// Whoever reads the output may have seen enough and left, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

process.exitCode = await runCommandLine(process.argv.slice(2), {
  environment: systemEnvironment(),
  env: environmentVariables(),
  cwd: process.cwd(),
  stdin: process.stdin,
  terminal: process.stdout.isTTY === true,
  out: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
})
