/** Who runs a node, and what it stores for whom, for people. Every text is of a stranger. */
import type { NodeInfo } from '../../client/node-about.ts'
import { bytesText } from './progress.ts'
import { countText, printable } from './text.ts'

type Row = readonly [name: string, value: string]

const MODES: Readonly<Record<string, string>> = { all: 'every avatar', listed: 'only avatars on its list' }
const POLICIES: Readonly<Record<string, string>> = {
  open: 'every owner gets on the list who asks',
  invite: 'owners with a code get on the list',
  closed: 'the operator alone fills the list',
}

/** The rows of what a node says about itself; undefined: its version does not tell. */
export function nodeInfoRows(info: NodeInfo | undefined): Row[] {
  if (info === undefined) return [['operator', 'this version of the node does not tell']]
  const { name, contact, policy, public_url, hosting, history } = info
  const rows: Row[] = [
    ['name', stated(name)],
    ['contact', stated(contact)],
  ]
  if (public_url !== null) rows.push(['url', printable(public_url)])
  const requests = hosting.mode === 'listed' ? `; ${POLICIES[hosting.policy] ?? printable(hosting.policy)}` : ''
  rows.push(['hosts', `${MODES[hosting.mode] ?? printable(hosting.mode)}${requests}`])
  rows.push(['history', historyText(history)])
  rows.push(['quota', quotaText(info)])
  const lines = policy === null ? ['not stated'] : policy.split('\n').map(printable)
  for (const [at, line] of lines.entries()) rows.push([at === 0 ? 'policy' : '', line])
  return rows
}

function stated(text: string | null): string {
  return text === null ? 'not stated' : printable(text)
}

function quotaText({ quotas }: NodeInfo): string {
  const each = (bytes: number | null, records: number | null): string => {
    const limits = [bytes === null ? '' : bytesText(bytes), records === null ? '' : countText(records, 'record')]
    return limits.filter((limit) => limit !== '').join(' and ') || 'no limit'
  }
  const { avatar_bytes, avatar_records, total_bytes, total_records } = quotas
  return `${each(avatar_bytes, avatar_records)} an avatar; ${each(total_bytes, total_records)} in all`
}

function historyText({ kept, erased_kept }: NodeInfo['history']): string {
  if (!kept) return 'dropped once a snapshot replaces it'
  return `kept: also what a snapshot has replaced, ${erased_kept ? 'even' : 'but not'} of erased avatars`
}
