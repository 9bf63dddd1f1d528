/** Translates LevelDB's errors into StoreErrors with advice. No other file inspects LevelDB's errors. */
import { messageOf } from '../platform/errors.ts'
import { MISSING_TABLES } from '../platform/level-files.ts'
import { StoreError } from './errors.ts'
import { incomplete } from './mark.ts'

/** Errors of the operating system that do not indicate damage. */
const SYSTEM_ERRORS: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [/Too many open files/i, 'Raise the limit of open files (ulimit -n), and start again.'],
  [/Permission denied|Read-only file system/i, 'Check its owner and mode, and start again.'],
  [/No space left|Disk quota exceeded/i, 'Make room on the disk, and start again.'],
]

type LevelCode = 'LEVEL_CORRUPTION' | 'LEVEL_IO_ERROR' | 'LEVEL_LOCKED'

/** The code that classic-level sets on an error of LevelDB. `getSync` sets none on an error of the operating system. */
function levelCode(error: unknown): LevelCode | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = 'code' in each ? each.code : undefined
    if (code === 'LEVEL_CORRUPTION' || code === 'LEVEL_IO_ERROR' || code === 'LEVEL_LOCKED') return code
    if (code === undefined && each.message.startsWith('IO error: ')) return 'LEVEL_IO_ERROR'
  }
  return undefined
}

/** Whether an error means that LevelDB's files are damaged and must be checked and repaired. */
export function isDamage(error: unknown): boolean {
  const code = levelCode(error)
  if (code === 'LEVEL_CORRUPTION') return true
  return code === 'LEVEL_IO_ERROR' && !SYSTEM_ERRORS.some(([pattern]) => pattern.test(detailOf(error)))
}

/** The error for a database directory that LevelDB cannot open, with advice. */
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

/** The error for a read or a write that found damage. The node checks and repairs the files before the next one. */
export function damaged(error: unknown): StoreError {
  return new StoreError(
    'damaged',
    `The store found damage on its disk: ${detailOf(error)}. The node is checking and repairing its files. Try again.`,
    { cause: error },
  )
}

/** Converts an error of LevelDB to a StoreError; returns other errors unchanged. */
export function toStoreError(error: unknown, location: string): unknown {
  return levelCode(error) === undefined ? error : databaseError(error, location)
}

/** The error for a store that neither LevelDB nor the node can repair in place. */
export function unusable(location: string, detail: string, options?: ErrorOptions): StoreError {
  return new StoreError(
    'unreadable',
    `Cannot open the store in ${location}: ${detail}. No record in it was changed. Save the records that are left to a new ` +
      'data directory (avatar-kv repair), or restore a backup (avatar-kv restore).',
    options,
  )
}

/** The message of the innermost error: LevelDB's own text if there is one. */
export function detailOf(error: unknown): string {
  let inner = error
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause
  return messageOf(inner)
}
