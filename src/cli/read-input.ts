import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'

import { decodeText } from '../decode-text.ts'
import type { CommandContext } from './context.ts'
import { CliError, messageOf } from './errors.ts'

/** Where a command reads text from. */
export interface InputOptions {
  /** What it should be, for messages, such as `the patch`. */
  readonly what: string
  /** A file; `-` is standard input. */
  readonly file: string
  readonly maxBytes: number
  /** What to do with a longer one, as a sentence. */
  readonly longer: string
}

/** How messages name an input. */
export function inputName(file: string): string {
  return file === '-' ? 'standard input' : file
}

/**
 * All of a file, or of standard input, as text.
 *
 * @throws CliError `failed` where it cannot be read, is too long or is not UTF-8
 */
export async function readInput(
  context: CommandContext,
  { what, file, maxBytes, longer }: InputOptions,
): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    const stream = file === '-' ? context.stdin : createReadStream(resolve(context.cwd, file))
    for await (const chunk of stream) {
      const piece = Buffer.from(chunk as Uint8Array)
      bytes += piece.byteLength
      if (bytes > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes. ${longer}`)
      chunks.push(piece)
    }
    return decodeText(Buffer.concat(chunks))
  } catch (error) {
    throw new CliError('failed', `Cannot read ${what} from ${inputName(file)}: ${messageOf(error)}`)
  }
}
