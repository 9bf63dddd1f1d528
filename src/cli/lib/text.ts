import { replaceUnprintable } from '../../platform/unprintable.ts'

/** Text that a stranger wrote, made safe to show on one line of a terminal. */
export function printable(text: string): string {
  return escapeUnprintable(text).replaceAll('\n', '\\u000a')
}

/**
 * A value as JSON that is safe to show on a terminal. Unprintable characters appear as escapes, which mean the same.
 *
 * @param indent spaces for each level; one line where left out
 */
export function jsonText(value: unknown, indent?: number): string {
  return escapeUnprintable(JSON.stringify(value, null, indent))
}

/** Rows in aligned columns, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The first items of a list, each on a line of its own, and how many more there are. */
export function listText(items: readonly string[], most: number): string {
  const more = items.length > most ? [`… and ${items.length - most} more`] : []
  return [...items.slice(0, most), ...more].map((item) => `\n  ${item}`).join('')
}

/** Unix seconds as `2026-01-31 12:00:00Z`; the number itself where no calendar has it. */
export function timeText(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000)
  return Number.isNaN(date.getTime()) ? String(unixSeconds) : `${date.toISOString().slice(0, -5).replace('T', ' ')}Z`
}

/** `1 record`, `2 records`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function escapeUnprintable(text: string): string {
  return replaceUnprintable(text, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
