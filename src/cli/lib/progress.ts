import type { CommandContext } from './context.ts'
import { countText } from './text.ts'

/** Often enough to be seen moving. */
const DRAW_MS = 100
const BAR_WIDTH = 24
/** A rate over less time says little. */
const SETTLED_MS = 1_000

/**
 * Shows the progress of a long piece of work on a terminal; elsewhere nothing. If a signal ends the process before `end`, removes
 * the line and writes a message.
 *
 * @param options.totalBytes of the whole, or `totalRecords`, if known: then there are a bar and the time left
 * @param options.interrupted what is true after a signal, and what to do next
 */
export function createProgress(
  {
    draw,
    note,
    onInterrupt,
    environment: { clock },
  }: Pick<CommandContext, 'draw' | 'note' | 'onInterrupt' | 'environment'>,
  options: {
    readonly label: string
    readonly totalBytes?: number | undefined
    readonly totalRecords?: number | undefined
    readonly interrupted: string
  },
) {
  const { label, totalBytes, totalRecords, interrupted } = options
  const forget = onInterrupt(() => {
    draw?.('')
    note(`avatar-kv: interrupted. ${interrupted}`)
  })
  const started = clock.now()
  let drawn = 0
  return {
    /** Call it as often as you like. */
    at({ records, bytes }: { readonly records: number; readonly bytes?: number }) {
      const now = clock.now()
      if (draw === undefined || now - drawn < DRAW_MS) return
      drawn = now
      const elapsedMs = now - started
      const share =
        totalBytes !== undefined && bytes !== undefined ? bytes / totalBytes : records / (totalRecords ?? Number.NaN)
      const parts = [countText(records, 'record')]
      if (bytes !== undefined) parts.push(sizeText(bytes))
      if (elapsedMs > SETTLED_MS) parts.push(`${Math.round((records * 1000) / elapsedMs)}/s`)
      const isKnown = Number.isFinite(share) && share > 0
      if (isKnown && elapsedMs > SETTLED_MS) {
        parts.push(`${durationText((elapsedMs * (1 - Math.min(share, 1))) / share)} left`)
      }
      draw(`${label} ${isKnown ? `${barText(Math.min(share, 1))} ` : ''}${parts.join(', ')}`)
    },
    /** Removes the line. */
    end() {
      forget()
      draw?.('')
    },
  }
}

function barText(share: number): string {
  const filled = Math.round(share * BAR_WIDTH)
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${Math.floor(share * 100)} %`
}

function durationText(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Bytes as people read them: `512 B`, `1.5 MB`. */
export function sizeText(bytes: number): string {
  let value = bytes
  for (const unit of ['B', 'kB', 'MB']) {
    if (value < 1000) return `${unit === 'B' ? value : value.toFixed(1)} ${unit}`
    value /= 1000
  }
  return `${value.toFixed(1)} GB`
}

/** Bytes exactly, and as people read them: `1073741824 bytes (1.1 GB)`. */
export function bytesText(bytes: number): string {
  return bytes < 1000 ? `${bytes} bytes` : `${bytes} bytes (${sizeText(bytes)})`
}
