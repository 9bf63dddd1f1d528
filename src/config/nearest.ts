/** A name that differs in more than this share of its length is another word, not a typing error. */
const MAX_EDITED_SHARE = 0.4
/** Longer texts are not names. A comparison costs the product of both lengths. */
const MAX_NAME_LENGTH = 64

/** Returns the name closest to `typed`; undefined if none is close. */
export function nearestName(typed: string, names: Iterable<string>): string | undefined {
  if (typed.length > MAX_NAME_LENGTH) return undefined
  let nearest: string | undefined
  let fewest = Math.floor(typed.length * MAX_EDITED_SHARE) + 1
  for (const name of names) {
    const edits = editDistance(typed.toLowerCase(), name.toLowerCase())
    if (edits >= fewest) continue
    fewest = edits
    nearest = name
  }
  return nearest
}

/** Edit distance: insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1]
      let edits = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      )
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (isSwap) edits = Math.min(edits, (beforeLast[column - 2] ?? 0) + 1)
      current.push(edits)
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
