import type { Contradiction, ContradictionRule } from '../../receipt/contradictions.ts'
import type { HostReport, HostsReport } from '../../receipt/hosts.ts'
import type { Receipt } from '../../receipt/receipt.ts'
import type { Avatar } from '../../record/types.ts'
import { countText, printable, table, timeText } from './text.ts'

/** What `receipt` shows of hosts that it has compared. */
export function hostsText(avatar: Avatar, { verdict, head, hosts, contradictions }: HostsReport): string {
  const rows = hosts.map(({ node, state, receipt }) => [
    state,
    receipt === null ? '' : String(receipt.head),
    receipt === null ? '' : String(receipt.records),
    receipt === null ? '' : `${receipt.digest.slice(0, 16)}…`,
    receipt === null ? '' : timeText(receipt.time),
    receipt?.peer_id ?? '',
    printable(node),
  ])
  const lines = [
    `avatar   ${avatar}`,
    `verdict  ${verdict ?? 'none'}: ${VERDICT_TEXTS[verdict ?? 'none']}`,
    '',
    table([['STATE', 'HEAD', 'RECORDS', 'DIGEST', 'TIME', 'PEER', 'NODE'], ...rows]),
  ]
  const remarks = [...hosts.flatMap((host) => hostRemarks(host, head)), ...samePeers(hosts)]
  if (remarks.length > 0) lines.push('', ...remarks)
  for (const contradiction of contradictions) lines.push('', contradictionText(contradiction))
  return lines.join('\n')
}

const VERDICT_TEXTS: Readonly<Record<NonNullable<HostsReport['verdict']> | 'none', string>> = {
  equal: 'all that gave a receipt show the same state.',
  behind: 'some have not all that others have.',
  split: 'each lacks records that another has: writes that have not met yet, or that are kept back.',
  contradictory: 'something that was signed is false.',
  none: 'no host gave a receipt that can be used.',
}

function hostRemarks({ node, state, receipt, lacks, problems }: HostReport, head: number): string[] {
  const remarks = problems.map((problem) => `${printable(node)}: ${printable(problem)}.`)
  if (state === 'behind') {
    remarks.push(
      `${printable(node)} lacks ${countText(lacks.length, 'record')} that others have; its head is ${receipt?.head ?? 0} of ` +
        `${head}. Ask again in a minute: what has not arrived by then may be kept back, or refused.`,
    )
  }
  return remarks
}

/** Two addresses of one node say nothing about each other. */
function samePeers(hosts: readonly HostReport[]): string[] {
  const nodes = new Map<string, string[]>()
  for (const { node, receipt } of hosts) {
    if (receipt !== null) nodes.set(receipt.peer_id, [...(nodes.get(receipt.peer_id) ?? []), printable(node)])
  }
  return [...nodes]
    .filter(([, urls]) => urls.length > 1)
    .map(([peer, urls]) => `${urls.join(' and ')} are one node, ${peer}.`)
}

/** A contradiction in words, with the receipts that prove it. */
export function contradictionText({ rule, receipts, samePeer }: Contradiction): string {
  const first = receipts[0] as Receipt
  const who = samePeer ? `Peer ${first.peer_id} contradicts itself` : 'Two peers contradict each other'
  const means = samePeer ? SELF_TEXT : 'One of the two signed something false; their records show which.'
  const shown = receipts.map(
    ({ time, head, id, records, digest, peer_id }) =>
      `  ${timeText(time)}  ${peer_id}  head ${head} ${id ?? '(nothing visible)'}, ${countText(records, 'record')}, digest ${digest}`,
  )
  return [`${who} over ${first.avatar}: ${RULE_TEXTS[rule]}`, ...shown, `  ${means}`].join('\n')
}

const RULE_TEXTS: Readonly<Record<ContradictionRule, string>> = {
  digest_of_two_places: 'one digest stands for one state, and so for one greatest record; here it is signed with two.',
  place_fell: 'the greatest visible record never falls, and later a lesser one was signed.',
  records_vanished: 'the state is the same, so that no record can have been superseded, and later fewer were signed.',
  state_returned: 'a state that was left never comes back, and here it did.',
}

const SELF_TEXT =
  'It denies what it had signed for: it dropped records, or let the avatar go in between, or was restored from an old ' +
  'backup, or its disk or clock failed.'
