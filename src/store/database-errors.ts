/** What LevelDB's own errors mean, and what to do about each: the one place that recognises them. */
import { messageOf } from '../platform/errors.ts'
import { MISSING_TABLES } from '../platform/level-files.ts'
import { StoreError } from './errors.ts'
import { incomplete } from './mark.ts'

/** Errors of the system that say nothing about the data. */
const SYSTEM_ERRORS: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [/Too many open files/i, 'Raise the limit of open files (ulimit -n), and start again.'],
  [/Permission denied|Read-only file system/i, 'Check its owner and mode, and start again.'],
  [/No space left|Disk quota exceeded/i, 'Make room on the disk, and start again.'],
]

type LevelCode = 'LEVEL_CORRUPTION' | 'LEVEL_IO_ERROR' | 'LEVEL_LOCKED'

/** The code that classic-level gives to an error of LevelDB; `getSync` gives none to an error of the system. */
function levelCode(error: unknown): LevelCode | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = 'code' in each ? each.code : undefined
    if (code === 'LEVEL_CORRUPTION' || code === 'LEVEL_IO_ERROR' || code === 'LEVEL_LOCKED') return code
    if (code === undefined && each.message.startsWith('IO error: ')) return 'LEVEL_IO_ERROR'
  }
  return undefined
}

/** Whether LevelDB cannot read or write its files because they are damaged: to be checked and mended. */
export function isDamage(error: unknown): boolean {
  const code = levelCode(error)
  if (code === 'LEVEL_CORRUPTION') return true
  return code === 'LEVEL_IO_ERROR' && !SYSTEM_ERRORS.some(([pattern]) => pattern.test(detailOf(error)))
}

/** The error that tells what LevelDB could not do with a directory, and what to do next. */
export function databaseError(error: unknown, location: string): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (levelCode(error) === 'LEVEL_LOCKED') {
    return new StoreError(
      'locked',
      `Another process uses the data in ${location}. Stop it, or choose another directory with --data-dir.`,
      { cause },
    )
  }
  const detail = detailOf(error)
  if (MISSING_TABLES.test(detail)) return incomplete(location, `table files (${detail})`, { cause })
  const advice = SYSTEM_ERRORS.find(([pattern]) => pattern.test(detail))?.[1]
  if (advice === undefined) return unusable(location, detail, { cause })
  return new StoreError('unreadable', `Cannot open the store in ${location}: ${detail}. ${advice}`, { cause })
}

/** The error of a read or a write that met damage. The files are checked and mended before the next one. */
export function damaged(error: unknown): StoreError {
  return new StoreError(
    'damaged',
    `The store met damage on its disk: ${detailOf(error)}. The node checks its files and mends them now: try again.`,
    { cause: error },
  )
}

/** Errors of LevelDB as StoreErrors; others as they are. */
export function toStoreError(error: unknown, location: string): unknown {
  return levelCode(error) === undefined ? error : databaseError(error, location)
}

/** The error for a store that neither LevelDB nor this node can mend in its place. */
export function unusable(location: string, detail: string, options?: ErrorOptions): StoreError {
  return new StoreError(
    'unreadable',
    `Cannot open the store in ${location}: ${detail}. No record in it was changed. Save the records that are left to a new ` +
      'data directory (avatar-kv repair), or restore a backup (avatar-kv restore).',
    options,
  )
}

/** What the innermost error says: LevelDB's own words, where there are any. */
export function detailOf(error: unknown): string {
  let inner = error
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause
  return messageOf(inner)
}
