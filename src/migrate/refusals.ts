import { MigrateError } from './errors.ts'
import type { Refusal } from './types.ts'

/** What to do about a code with which a host refuses; beside what it says itself. */
const ADVICE: Readonly<Record<string, string>> = {
  not_hosted: 'Ask its operator to take the avatar in, or do so yourself with: avatar-kv host request',
  blocked: 'Its operator does not want this avatar: choose another host.',
  avatar_quota:
    'The avatar is larger than this host grants. Compact its history first with: avatar-kv snapshot; or choose another host.',
  node_quota: 'The host is full: choose another, or ask its operator for room.',
  created_at_ahead: 'Check the clocks of both machines, and run the same again when that time has come.',
  too_many_pending: 'Too many of its records wait for others that neither host has.',
  too_many_incomplete: 'Too many of its snapshots wait for parts that neither host has.',
  refused: 'Its operator may not host this avatar, or grant it less than it takes.',
}

/** Codes that neither time nor other records of the avatar change. */
const FINAL_CODES: ReadonlySet<string> = new Set(['not_hosted', 'blocked'])

/** Whether to give up at once. */
export function isFinalRefusal(refused: ReadonlyMap<string, Refusal>): boolean {
  return [...refused].some(([code, { retry }]) => !retry || FINAL_CODES.has(code))
}

/** What a host refused, in words that say what to do. */
export function refusalError(host: string, refused: ReadonlyMap<string, Refusal>): MigrateError {
  const lines = [...refused].map(([code, { count, message }]) => {
    const advice = ADVICE[code]
    return `  ${code} (${count}): ${message}${advice === undefined ? '' : ` ${advice}`}`
  })
  const counts = Object.fromEntries([...refused].map(([code, { count }]) => [code, count]))
  return new MigrateError(
    'target_refuses',
    `${host} does not take all records:\n${lines.join('\n')}\nWhat it took stays there; the next run goes on from there.`,
    { refused: counts },
  )
}
