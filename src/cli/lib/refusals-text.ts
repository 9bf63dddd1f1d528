import type { SubmitAnswer } from '../../client/answers.ts'
import { STORED_STATUSES } from '../../client/delivery.ts'
import { countText, printable } from './text.ts'

/** Refusals that are shown one by one. */
const MAX_SHOWN = 5

/** Why a node did not take some of the records; undefined where it took all. */
export function refusalsText(answers: readonly SubmitAnswer[]): string | undefined {
  const refused = answers
    .map((answer, index) => ({ ...answer, index }))
    .filter((answer) => !STORED_STATUSES.has(answer.status))
  if (refused.length === 0) return undefined
  const lines = refused.slice(0, MAX_SHOWN).map(({ index, status, code, message, retry }) => {
    const why = [code, message].filter((part) => part !== undefined).join(': ')
    return `\n  record ${index + 1}: ${printable([status, why].filter(Boolean).join(', '))}${retry === true ? ' (it may later)' : ''}`
  })
  const more = refused.length > MAX_SHOWN ? `\n  … and ${refused.length - MAX_SHOWN} more` : ''
  return `${refused.length} of ${countText(answers.length, 'record')} not taken:${lines.join('')}${more}`
}
