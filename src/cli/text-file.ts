import { open } from 'node:fs/promises'
import { resolve } from 'node:path'

import { fileProblem } from '../files.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { sizeText } from './progress.ts'

/**
 * Reads a text file of a bounded size; also a pipe, such as bash's `<(…)`.
 *
 * @param options.what the file should hold, for messages
 * @returns the text, without a byte order mark, and the mode of the file
 * @throws CliError `failed`, with the operating system's error as its cause
 */
export async function readTextFile(
  { cwd }: Pick<CommandContext, 'cwd'>,
  file: string,
  { what, maxBytes }: { readonly what: string; readonly maxBytes: number },
): Promise<{ readonly text: string; readonly mode: number }> {
  const failed = (why: string, cause?: unknown): CliError =>
    new CliError('failed', `Cannot read ${what} from ${file}: ${why}.`, undefined, { cause })
  const chunks: Buffer[] = []
  let mode: number
  try {
    const handle = await open(resolve(cwd, file), 'r')
    try {
      const about = await handle.stat()
      if (about.isDirectory()) throw failed('it is a folder, not a file')
      mode = about.mode
      let bytes = 0
      for await (const chunk of handle.createReadStream({ autoClose: false })) {
        const piece = chunk as Buffer
        bytes += piece.length
        if (bytes > maxBytes) throw failed(`it is too long: more than ${sizeText(maxBytes)}. Name another file`)
        chunks.push(piece)
      }
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw error instanceof CliError ? error : failed(fileProblem(error), error)
  }
  try {
    // Leaves a byte order mark out, which editors on Windows write.
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)), mode }
  } catch {
    throw failed('it is not UTF-8 text')
  }
}
