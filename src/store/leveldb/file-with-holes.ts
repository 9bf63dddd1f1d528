import { open, readFile } from 'node:fs/promises'
import { codeOf } from '../../platform/errors.ts'

/** Bytes per read after a disk error: a failed page becomes zeros, and the other pages are saved. */
const PAGE_BYTES = 4_096

/** Reads a file. A page that the disk cannot read (EIO) becomes zeros, which match no checksum. */
export async function readFileWithHoles(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    if (!(codeOf(error) === 'EIO')) throw error
  }
  const file = await open(path, 'r')
  try {
    const content = Buffer.alloc((await file.stat()).size)
    for (let at = 0; at < content.length; at += PAGE_BYTES) {
      await file.read(content, at, Math.min(PAGE_BYTES, content.length - at), at).catch(() => undefined)
    }
    return content
  } finally {
    await file.close()
  }
}
