import type { RecordId } from '../../client/index.ts'

/** More branches than this share the last line. */
const MAX_LANES = 6

interface Cites {
  readonly id: RecordId
  readonly prev: readonly { readonly id: RecordId }[]
}

/** The lines beside one record: which pass above and below it, and where it and the records that it cites stand. */
export interface Lane {
  readonly at: number
  readonly above: readonly number[]
  readonly below: readonly number[]
  /** Lines that begin at the record, to those it cites. */
  readonly to: readonly number[]
}

/** Lays branches beside each other. @param newestFirst so that each record comes before those that it cites */
export function lanesOf(newestFirst: readonly Cites[]): Lane[] {
  /** By line: the record that it leads to. */
  let open: (RecordId | undefined)[] = []
  const used = (): number[] => open.flatMap((id, at) => (id === undefined ? [] : [at]))
  function place(id: RecordId): number {
    const known = open.indexOf(id)
    if (known !== -1) return known
    const free = open.indexOf(undefined)
    const at = Math.min(free === -1 ? open.length : free, MAX_LANES - 1)
    open[at] = id
    return at
  }
  return newestFirst.map(({ id, prev }) => {
    const above = used()
    const at = place(id)
    open[at] = undefined
    const to = prev.slice(0, MAX_LANES).map((each) => place(each.id))
    open = open.slice(0, (open.findLastIndex((each) => each !== undefined) ?? -1) + 1)
    return { at, above, below: used(), to }
  })
}
