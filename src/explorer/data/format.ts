/** Words and numbers for people. */
import { ClientError } from '../../client/index.ts'

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`
}

export function bytes(n: number): string {
  if (n < 1_000) return count(n, 'byte')
  const units = ['kB', 'MB', 'GB', 'TB']
  let value = n / 1_000
  let unit = 0
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000
    unit += 1
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ''}`
}

/** @param unixSeconds as the author claims: any number */
export function moment(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1_000)
  if (Number.isNaN(date.getTime())) return `second ${unixSeconds}`
  return date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}

const STEPS: readonly (readonly [seconds: number, unit: Intl.RelativeTimeFormatUnit])[] = [
  [31_557_600, 'year'],
  [2_629_800, 'month'],
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
]

/** "3 hours ago". @param unixSeconds as the author claims: any number; a date where it is far from now */
export function ago(unixSeconds: number, nowMs: number): string {
  const seconds = unixSeconds - nowMs / 1_000
  if (Math.abs(seconds) < 45) return 'just now'
  const [size, unit] = STEPS.find(([size]) => Math.abs(seconds) >= size * 0.75) ?? [60, 'minute']
  const n = Math.round(seconds / size)
  if (!Number.isFinite(n) || Math.abs(n) > 100) return moment(unixSeconds)
  return new Intl.RelativeTimeFormat('en', { numeric: 'always' }).format(n, unit)
}

/** The day of a time, where this device is. @param unixSeconds as the author claims: any number */
export function dayOf(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1_000)
  return Number.isNaN(date.getTime())
    ? 'A time out of range'
    : date.toLocaleDateString(undefined, { dateStyle: 'long' })
}

/** A time of day. @param atMs in ms since 1970, by the clock of this device */
export function clock(atMs: number): string {
  return new Date(atMs).toLocaleTimeString(undefined, { timeStyle: 'medium' })
}

export function duration(seconds: number): string {
  if (seconds < 90) return count(seconds, 'second')
  if (seconds < 5_400) return count(Math.round(seconds / 60), 'minute')
  if (seconds < 129_600) return count(Math.round(seconds / 3_600), 'hour')
  return count(Math.round(seconds / 86_400), 'day')
}

/** `0x02ab12…9f3c`: enough to tell two apart. The full text is in the title and can be copied. */
export function shortHex(hex: string): string {
  return hex.length <= 20 ? hex : `${hex.slice(0, 10)}…${hex.slice(-6)}`
}

/** Whether the person declined in the wallet, which is not an error. */
export function isDeclined(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'rejected'
}

/** One line of JSON, cut if it is long. */
export function brief(value: unknown, maxCharacters = 160): string {
  return cut(JSON.stringify(value) ?? 'nothing', maxCharacters)
}

/** For texts of other people, which can be of any length. */
export function cut(text: string, maxCharacters = 500): string {
  return text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters)}…`
}
