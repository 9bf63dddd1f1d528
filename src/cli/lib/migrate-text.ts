import { HOMES_KEY } from '../../homes/homes.ts'
import type { LinkedMove } from './migrate-linked.ts'
import type { Moved } from '../../migrate/migrate.ts'
import { SILENCE_TOLD_MS } from '../../migrate/limits.ts'
import type { Progress } from '../../migrate/types.ts'
import type { Receipt } from '../../receipt/receipt.ts'
import type { Avatar, JsonValue } from '../../record/types.ts'
import type { CommandContext } from './context.ts'
import { countText, jsonText, printable, timeText } from './text.ts'

/** Time between two lines of progress, without a terminal and on one. */
const LINE_MS = 2_000
const DRAW_MS = 100

/** What `migrate --json` prints. */
export interface MigrateReport {
  readonly avatar: Avatar
  readonly network: string
  readonly from: string
  readonly to: string
  readonly outcome: Moved['outcome']
  /** Records: read from the old host, new to the new one, and those that only the new one had. */
  readonly moved: { readonly read: number; readonly given: number; readonly extra: number }
  readonly rounds: number
  readonly head: number
  readonly digest: string
  readonly pending: number
  readonly missing: number
  /** Bad records of the old host, which were left out. */
  readonly bad_records: number
  /** Signed by the new host and checked here; null if the host has a multiaddr, or gave none. */
  readonly receipt: Receipt | null
  /** The signed list of homes; null if none was signed. */
  readonly homes: readonly JsonValue[] | null
  /** The avatars to which it links, which were moved too. */
  readonly linked: readonly LinkedMove[]
}

export type MoveProgress = ReturnType<typeof createMoveProgress>

/** Shows progress on standard error: on a terminal one line that changes, elsewhere a line at most every two seconds. */
export function createMoveProgress({ environment, note, draw }: Pick<CommandContext, 'environment' | 'note' | 'draw'>) {
  let toldAtMs = environment.clock.now()
  let isOver = false
  const at: Progress = (direction, host, records) => {
    // Also while both are watched, after the end.
    if (direction === 'waiting for') {
      return note(
        `Waiting for ${printable(host)}, which has not answered for ${SILENCE_TOLD_MS / 1_000} s. The command asks again for ` +
          'some minutes. To stop it, press Ctrl-C.',
      )
    }
    const nowMs = environment.clock.now()
    if (isOver || nowMs - toldAtMs < (draw === undefined ? LINE_MS : DRAW_MS)) return
    toldAtMs = nowMs
    const show = draw ?? note
    show(`${countText(records, 'record')} ${direction} ${printable(host)} …`)
  }
  return {
    at,
    /** Removes the line, and shows nothing more. */
    end() {
      if (!isOver) draw?.('')
      isOver = true
    },
  }
}

/** The report as text. */
export function reportText(report: MigrateReport): string {
  const { from, to, moved, rounds, receipt, homes } = report
  const lines = [
    report.outcome === 'equal'
      ? `moved    ${report.avatar} is at ${to} now, equal to ${from}`
      : `moved    ${to} now has all records of ${from}, and more records of ${report.avatar} that ${from} does not have`,
    `records  ${moved.read} read, ${moved.given} new there${moved.extra > 0 ? `, ${moved.extra} only there` : ''}, ${countText(rounds, 'round')}`,
    `head     ${report.head}`,
    `digest   ${report.digest}`,
  ]
  if (report.pending > 0) lines.push(`pending  ${countText(report.pending, 'record')}, moved as well`)
  if (report.missing > 0) lines.push(`missing  ${countText(report.missing, 'record')} that neither host has`)
  if (receipt !== null) {
    const { peer_id, records, time } = receipt
    const agrees = receipt.digest === report.digest ? '' : ', of another state: the avatar was written to since'
    lines.push(`receipt  ${countText(records, 'record')} at ${timeText(time)}, signed by ${peer_id}${agrees}`)
    lines.push(`         ${jsonText(receipt)}`)
  }
  if (homes !== null) lines.push(`homes    ${jsonText(homes)}`)
  const moves = report.linked.filter(({ problem }) => problem === null)
  for (const { avatar } of moves) lines.push(`linked   ${avatar} is there too`)
  return lines.join('\n')
}

/** The command that lists the new host. */
export function homesHint(homes: readonly JsonValue[], to: string): string {
  const patch = jsonText({ [HOMES_KEY]: homes }).replaceAll("'", `'\\''`)
  const node = to.startsWith('/') ? '' : ` --node ${to}`
  return `To tell others where the avatar is stored now: avatar-kv put '${patch}'${node}`
}
