import type { SubmitAnswer } from '../../client/answers.ts'
import { STORED_STATUSES } from '../../client/delivery.ts'
import { countText, listText, printable } from './text.ts'

/** Refusals that are shown one by one. */
const MAX_SHOWN = 5

/** Why a node did not take some of the records; undefined where it took all. */
export function refusalsText(answers: readonly SubmitAnswer[]): string | undefined {
  const refused = answers
    .map((answer, index) => ({ ...answer, index }))
    .filter((answer) => !STORED_STATUSES.has(answer.status))
  if (refused.length === 0) return undefined
  const lines = refused.map(({ index, status, code, message, retry }) => {
    const why = [code, message].filter((part) => part !== undefined).join(': ')
    return `record ${index + 1}: ${printable([status, why].filter(Boolean).join(', '))}${retry === true ? ' (retry later)' : ''}`
  })
  return `${refused.length} of ${countText(answers.length, 'record')} not taken:${listText(lines, MAX_SHOWN)}`
}
