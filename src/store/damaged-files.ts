import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Bounds of the originals of damaged files that a store keeps; a table has 2 MiB. The originals of the last damage stay even
 * beyond the bounds. `avatar-kv repair` finds records in an original only if the repaired file lost some.
 */
const MAX_BYTES = 268_435_456
const MAX_FILES = 256

/**
 * Deletes the oldest originals of damaged files in a directory until it is within its bounds.
 *
 * @param last names of the files of the last damage. They stay, even if they alone exceed the bounds
 * @returns the names of the deleted files, newest first, and their bytes
 */
export async function dropOldOriginals(directory: string, last: ReadonlySet<string>) {
  const found = await Promise.all(
    (await readdir(directory)).map(async (name) => {
      const { size, ctimeNs } = await stat(join(directory, name), { bigint: true })
      return { name, bytes: Number(size), keptAt: ctimeNs }
    }),
  )
  // By ctime: the file arrives here by a hard link, which updates ctime and keeps mtime. The clock of ctime is coarse; of
  // two files with equal times the one with the greater number is newer.
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
