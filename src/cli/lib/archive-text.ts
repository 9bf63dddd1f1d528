import type { AvatarCheck, CheckReport } from '../../archive/check.ts'
import type { ArchiveFault, FaultReport } from '../../archive/errors.ts'
import type { ImportReport } from '../../ingest/import-archive.ts'
import { sizeText } from './progress.ts'
import { printable, table, timeText } from './text.ts'

/** Avatars listed one by one as text; `--json` has up to 1,000. */
const MAX_LISTED = 20
/** Missing ids listed for each avatar. */
const MAX_MISSING = 3

/** The message for a file that is not an archive; undefined if it may be one, even if damaged. */
export function notAnArchive(
  name: string,
  { network, records, faults }: Pick<ImportReport, 'network' | 'records' | 'faults'>,
): string | undefined {
  if (network !== null || records > 0 || faults.codes['not_an_archive'] === undefined) return undefined
  const advice = 'Name a file that avatar-kv export made.'
  return `${printable(name)} is not an archive: it has no header and no records of avatar-kv. ${advice}`
}

/** The first faults of an archive, one a line, and the number of the others. */
export function faultLines({ total, first, codes }: FaultReport): string[] {
  const lines = first.map(faultText)
  if (total > first.length) {
    const counts = Object.entries(codes).map(([code, count]) => `${count} ${code}`)
    lines.push(`… and ${total - first.length} more; in all ${counts.join(', ')}`)
  }
  return lines
}

function faultText({ line, code, record_code, message }: ArchiveFault): string {
  return `line ${line}: ${code}${record_code === undefined ? '' : ` (${printable(record_code)})`}: ${printable(message)}`
}

/** The result of `import`. */
export function importText(report: ImportReport): string {
  const { stored, pending, duplicate, superseded, refused, invalid, skipped } = report
  const rows = [['records', `${report.records} read from ${sizeText(report.bytes)}`]]
  const say = (name: string, count: number, what: string): void => {
    if (count > 0) rows.push([name, `${count} ${what}`])
  }
  say('stored', stored, 'new, and they count')
  say('pending', pending, 'new, and not shown before the records come that they cite')
  say('duplicate', duplicate, 'were there already')
  say('superseded', superseded, 'stand below a snapshot that is there, and have no effect')
  say('refused', refused, 'were not taken:')
  for (const [code, { count, retry, message }] of Object.entries(report.refusals)) {
    rows.push(['', `${count} ${printable(code)}${retry ? ' (may be taken later)' : ''}: ${printable(message)}`])
  }
  say('invalid', invalid, 'are not genuine and were left out')
  say('skipped', skipped, 'of other avatars')
  return table(rows)
}

/** The result of `verify`, without faults. */
export function checkText(report: CheckReport): string {
  const made = report.created_at === null ? '' : `, made ${timeText(report.created_at)}`
  const rows = [
    ['archive', `network ${printable(report.network ?? '?')}${made}`],
    ['size', `${sizeText(report.bytes)}${report.compressed ? ', decompressed' : ''}`],
    [
      'records',
      `${report.valid} valid, ${report.invalid} invalid${report.duplicate > 0 ? `, ${report.duplicate} twice` : ''}`,
    ],
    ['trailer', TRAILERS[report.trailer]],
    ['avatars', String(report.avatars)],
  ]
  const say = (name: string, count: number, what: string): void => {
    if (count > 0) rows.push([name, `${count} ${what}`])
  }
  say('superseded', report.superseded, 'records of history that have no effect any more')
  say('forks', report.forked, 'avatars with more than one tip: their next write joins them')
  say('pending', report.pending, 'records that are not shown, for others are missing')
  say('missing', report.missing, 'records that others name and that are not in it')
  say('unjudged', report.unjudged, 'avatars whose records are out of order, or too many, to be judged together')
  const listed = report.shown.slice(0, MAX_LISTED)
  const lines = [table(rows)]
  if (listed.length > 0) {
    lines.push('', table([['AVATAR', 'RECORDS', 'SIZE', 'HEAD', 'TIPS', 'PENDING', 'MISSING'], ...listed.map(rowOf)]))
    if (report.avatars > listed.length) lines.push(`… and ${report.avatars - listed.length} more`)
    for (const { avatar, state } of listed) {
      const ids = state?.missing.ids.slice(0, MAX_MISSING) ?? []
      for (const id of ids) lines.push(`missing of ${avatar}: ${id}`)
      const more = (state?.missing.total ?? 0) - ids.length
      if (more > 0) lines.push(`… and ${more} more`)
    }
  }
  return lines.join('\n')
}

const TRAILERS: Readonly<Record<CheckReport['trailer'], string>> = {
  good: 'fits',
  wrong: 'does NOT fit',
  missing: 'MISSING',
}

function rowOf({ avatar, records, bytes, state }: AvatarCheck): string[] {
  const start = [avatar, String(records), sizeText(bytes)]
  if (state === null) return [...start, '?', '?', '?', '?']
  const { head, tips_total, pending, missing } = state
  return [...start, String(head), String(tips_total), String(pending), String(missing.total)]
}
