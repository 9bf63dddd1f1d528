import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'

import { messageOf } from '../../platform/errors.ts'
import { decodeText } from '../../platform/decode-text.ts'
import { fileProblem } from '../../platform/files.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { sizeText } from './progress.ts'

/** Where a command reads text from. */
export interface InputOptions {
  /** What it should be, for messages, such as `the patch`. */
  readonly what: string
  /** A file; `-` is standard input. */
  readonly file: string
  readonly maxBytes: number
  /** What to do with a longer one, as a sentence without its full stop. */
  readonly longer: string
}

/** How messages name an input. */
export function inputName(file: string): string {
  return file === '-' ? 'standard input' : file
}

/**
 * All of a file (also a pipe, such as bash's `<(…)`) or of standard input, as text.
 *
 * @throws CliError `failed` where it cannot be read, is too long or is not UTF-8; its cause is the operating system's error
 */
export async function readInput(
  { cwd, stdin }: Pick<CommandContext, 'cwd' | 'stdin'>,
  { what, file, maxBytes, longer }: InputOptions,
): Promise<string> {
  const failed = (why: string, cause?: unknown): CliError =>
    new CliError('failed', `Cannot read ${what} from ${inputName(file)}: ${why}.`, { cause })
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    const stream = file === '-' ? stdin : createReadStream(resolve(cwd, file))
    for await (const chunk of stream) {
      const piece = Buffer.from(chunk as Uint8Array)
      bytes += piece.byteLength
      if (bytes > maxBytes) throw failed(`it is too long: more than ${sizeText(maxBytes)}. ${longer}`)
      chunks.push(piece)
    }
  } catch (error) {
    throw error instanceof CliError ? error : failed(fileProblem(error), error)
  }
  try {
    return decodeText(Buffer.concat(chunks))
  } catch (error) {
    throw failed(messageOf(error))
  }
}
