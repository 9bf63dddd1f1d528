import { createInterface } from 'node:readline'

import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'

/** Asks on standard error, and reads one line from standard input; empty where there is none. */
export async function askLine(context: CommandContext, question: string): Promise<string> {
  context.note(question)
  const lines = createInterface({ input: context.stdin, terminal: false })
  try {
    for await (const line of lines) return line.trim()
    return ''
  } finally {
    lines.close()
  }
}

/** Asks a question whose answer is yes or no. */
export async function isYes(context: CommandContext, question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await askLine(context, `${question} [y/N]`))
}

/**
 * Lets the person at the terminal decide whether to go on. Without a terminal, `--yes` is required.
 *
 * @throws CliError `usage` if nobody can be asked, `failed` if the answer is not yes
 */
export async function confirm(context: CommandContext, question: string, yes: boolean): Promise<void> {
  if (yes) return
  if (context.stdin.isTTY !== true) throw new CliError('usage', `${question} Nobody is here to be asked: add --yes.`)
  if (!(await isYes(context, question))) throw new CliError('failed', 'Nothing was changed.')
}
