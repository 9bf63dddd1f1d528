import { MigrateError } from './errors.ts'
import type { Refusal } from './types.ts'

/** What to do about a refusal, by the host's code. It follows the host's own message. */
const ADVICE: Readonly<Record<string, string>> = {
  not_hosted: 'Ask its operator to host the avatar, or request it yourself: avatar-kv host request',
  blocked: 'Its operator blocks this avatar. Choose another host.',
  avatar_quota:
    'The avatar is larger than this host allows. Compact its history first (avatar-kv snapshot), or choose another host.',
  node_quota: 'The host is full. Choose another, or ask its operator for more room.',
  created_at_ahead: 'Check the clocks of both machines, and run the same again after that time.',
  too_many_pending: 'Too many of its records wait for others that neither host has.',
  too_many_incomplete: 'Too many of its snapshots wait for parts that neither host has.',
  refused: 'The host may not host this avatar, may allow it less than it takes, or may have a full disk.',
}

/** Codes that do not change with time or with other records of the avatar. */
const FINAL_CODES: ReadonlySet<string> = new Set(['not_hosted', 'blocked'])

/** Whether a repetition cannot help. */
export function isFinalRefusal(refused: ReadonlyMap<string, Refusal>): boolean {
  return [...refused].some(([code, { retry }]) => !retry || FINAL_CODES.has(code))
}

/** The error for what a host refused. */
export function refusalError(host: string, refused: ReadonlyMap<string, Refusal>): MigrateError {
  const lines = [...refused].map(([code, { count, message }]) => {
    const advice = ADVICE[code]
    return `  ${code} (${count}): ${message}${advice === undefined ? '' : ` ${advice}`}`
  })
  const counts = Object.fromEntries([...refused].map(([code, { count }]) => [code, count]))
  return new MigrateError(
    'target_refuses',
    `${host} rejects some records:\n${lines.join('\n')}\nThe records that it accepted stay there. The next run resumes from there.`,
    { refused: counts },
  )
}
