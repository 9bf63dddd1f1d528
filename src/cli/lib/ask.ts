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

/**
 * Lets the person at the terminal decide whether to go on. Where nobody is there to be asked, `--yes` must have been given.
 *
 * @throws CliError `usage` where nobody can be asked, `failed` where the answer is not yes
 */
export async function confirm(context: CommandContext, question: string, yes: boolean): Promise<void> {
  if (yes) return
  if (context.stdin.isTTY !== true) throw new CliError('usage', `${question} Nobody is here to be asked: add --yes.`)
  const answer = await askLine(context, `${question} [y/N]`)
  if (!/^y(es)?$/i.test(answer)) throw new CliError('failed', 'Nothing was changed.')
}
