import { open } from 'node:fs/promises'
import { resolve } from 'node:path'

import { codeOf } from '../../platform/errors.ts'
import { fileProblem } from '../../platform/files.ts'
import type { RecordId } from '../../record/types.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'

/**
 * Writes payloads that are still to be signed, for a wallet or a machine that holds the key: `{"records":[{"payload":"the
 * exact text","id":"0x…","signature":""}]}`. Filled in, the file is for `put --signed`.
 *
 * @throws CliError when the file exists (it is never overwritten) or cannot be written
 */
export async function writeUnsignedFile(
  context: CommandContext,
  file: string,
  records: readonly { readonly id: RecordId; readonly payload: string }[],
): Promise<void> {
  const handle = await open(resolve(context.cwd, file), 'wx', 0o600).catch((error: unknown) => {
    const why =
      codeOf(error) === 'EEXIST' ? 'it exists already, and may hold signatures. Name another file' : fileProblem(error)
    throw new CliError('failed', `Cannot write ${file}: ${why}.`)
  })
  try {
    await handle.writeFile('{"records":[')
    for (const [index, { payload, id }] of records.entries()) {
      await handle.writeFile(`${index === 0 ? '' : ','}\n${JSON.stringify({ payload, id, signature: '' })}`)
    }
    await handle.writeFile('\n]}\n')
    await handle.sync()
  } catch (error) {
    throw new CliError('failed', `Cannot write ${file}: ${fileProblem(error)}.`)
  } finally {
    await handle.close()
  }
}

/** What to do with the file, in words. */
export function unsignedText(file: string, records: number, node: string): string {
  return (
    `${records === 1 ? 'One payload is' : `${records} payloads are`} in ${file}, not signed. Sign each "payload" as it is, ` +
    'byte for byte, with personal_sign (EIP-191) and the key of the avatar; put the signature into "signature" (0x and hex, ' +
    `or base64). "id" is the digest that a signer shows or signs. Then: avatar-kv put --signed ${file} --node ${node}`
  )
}
