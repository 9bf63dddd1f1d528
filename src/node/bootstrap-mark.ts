import { rename, rm, writeFile } from 'node:fs/promises'

import { readTextFile } from '../platform/files.ts'
import type { BootstrapMark } from '../sync/bootstrap.ts'
import type { Bound } from '../negentropy/types.ts'

/**
 * Stores the progress of a bootstrap in a file, so that a killed node resumes there. The mark is a hint: if it is lost or wrong,
 * some records are sent again. So writes are not fsynced, and errors are ignored.
 */
export function fileMark(path: string): BootstrapMark {
  // Writes run one after the other, in the order of the calls.
  let last: Promise<void> = Promise.resolve()
  let isAbsent = false

  async function save(bound: Bound | null): Promise<void> {
    if (bound === null) {
      if (!isAbsent) await rm(path, { force: true })
      isAbsent = true
      return
    }
    isAbsent = false
    const mark = { created_at: bound.timestamp, id: Buffer.from(bound.id).toString('hex') }
    await writeFile(`${path}.new`, JSON.stringify(mark))
    await rename(`${path}.new`, path)
  }

  return {
    async read() {
      await last
      try {
        return parseMark(await readTextFile(path))
      } catch {
        return null
      }
    },
    write(bound) {
      last = last.then(() => save(bound)).catch(() => undefined)
      return last
    },
  }
}

function parseMark(text: string): Bound | null {
  const { created_at: timestamp, id } = JSON.parse(text) as Record<string, unknown>
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp) || timestamp < 0) return null
  if (typeof id !== 'string' || !/^(?:[0-9a-f]{2}){0,32}$/.test(id)) return null
  return { timestamp, id: Uint8Array.from(Buffer.from(id, 'hex')) }
}
