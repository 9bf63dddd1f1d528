import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Bounds of the originals that a store keeps of damaged files, a table having 2 MiB. Those of the last damage stay beyond
 * them. `avatar-kv repair` finds records in an original only where its mended file lost some.
 */
const MAX_BYTES = 268_435_456
const MAX_FILES = 256

export interface DroppedFiles {
  /** Names, the newest first. */
  readonly files: readonly string[]
  readonly bytes: number
}

/**
 * Deletes the oldest files of a directory that keeps the originals of damaged files, until it is within its bounds.
 *
 * @param last names of the files of the last damage, which stay even where they alone are beyond the bounds
 */
export async function dropOldOriginals(directory: string, last: ReadonlySet<string>): Promise<DroppedFiles> {
  const found = await Promise.all(
    (await readdir(directory)).map(async (name) => {
      const { size, ctimeNs } = await stat(join(directory, name), { bigint: true })
      return { name, bytes: Number(size), keptAt: ctimeNs }
    }),
  )
  // The time of the last change of the inode: a file comes here by a link, which changes it, and keeps its own dates.
  // Its clock is coarse; the later of two files has the greater number.
  const newestFirst = (a: (typeof found)[number], b: (typeof found)[number]): number =>
    Number(last.has(b.name)) - Number(last.has(a.name)) || Number(b.keptAt - a.keptAt) || (a.name < b.name ? 1 : -1)
  found.sort(newestFirst)
  const dropped: typeof found = []
  let files = 0
  let bytes = 0
  for (const file of found) {
    files += 1
    bytes += file.bytes
    if (!last.has(file.name) && (files > MAX_FILES || bytes > MAX_BYTES)) dropped.push(file)
  }
  for (const { name } of dropped) await rm(join(directory, name), { force: true })
  return { files: dropped.map(({ name }) => name), bytes: dropped.reduce((sum, file) => sum + file.bytes, 0) }
}
