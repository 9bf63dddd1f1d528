import type { PeerAnswer, PeerSyncAnswer } from '../../client/node-info.ts'
import { countText, printable, timeText } from './text.ts'

/** What a session does, in words. Any other state is shown as it is. */
const DOING: Readonly<Record<string, string>> = {
  waiting: 'waiting for its turn',
  opening: 'connecting',
  reconciling: 'comparing',
  bootstrapping: 'copying all records',
  fetching: 'fetching missing records',
  serving: 'answering the peer',
}

/** The sync status of a peer in words: the result of the last comparison, and the current activity. */
export function syncText(sync: PeerSyncAnswer | null): string {
  if (sync === null) return 'no sync'
  const parts = [lastText(sync.last)]
  if (sync.state === 'backing_off') parts.push(`now failing (${printable(sync.error ?? 'unknown')}), trying again`)
  else if (sync.state !== 'idle') parts.push(`now ${DOING[sync.state] ?? printable(sync.state)}${progressText(sync)}`)
  return parts.join('; ')
}

/** How many new records a peer delivered, by gossip and by sync. */
export function receivedText({ gossip_records_in: byGossip, sync }: PeerAnswer): string {
  const parts = [
    ...(byGossip === null ? [] : [`${byGossip} by gossip`]),
    ...(typeof sync?.records_in === 'number' ? [`${sync.records_in} by sync`] : []),
  ]
  return parts.join(', ') || 'unknown'
}

function lastText(last: PeerSyncAnswer['last']): string {
  if (last === null) return 'not yet compared'
  const { outcome, differences, refused_here: here, refused_there: there } = last
  const found = differences === 0 ? '' : `, ${countText(differences, 'difference')} before`
  return `${outcomeText(outcome, here, there)} at ${timeText(last.finished_at)}${found}`
}

function outcomeText(outcome: string, here: number, there: number): string {
  if (outcome !== 'equal_except_refused') return printable(outcome)
  const refused = [
    ...(here > 0 ? [`${here} that this node refuses`] : []),
    ...(there > 0 ? [`${there} that it refuses`] : []),
  ]
  return `equal except ${refused.join(' and ') || 'what was refused'}`
}

function progressText({ progress }: PeerSyncAnswer): string {
  if (progress === null) return ''
  if (progress.total !== null) return ` (${progress.done} of ${countText(progress.total, 'record')})`
  return progress.done === 0 ? '' : ` (${countText(progress.done, 'record')})`
}
