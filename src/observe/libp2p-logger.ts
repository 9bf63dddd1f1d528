import type { ComponentLogger, Logger as Libp2pLogger } from '@libp2p/interface'

import type { Logger, Metrics } from './types.ts'

/** Longest line made of libp2p's arguments, in characters. Strangers control part of them. */
const MAX_LINE_CHARACTERS = 2000

/** Whether an error is a bug rather than a network error. Bytes of a peer can cause one in a parser of libp2p. */
const PROGRAM_ERRORS: readonly (abstract new (...args: never[]) => Error)[] = [TypeError, ReferenceError, SyntaxError]

/**
 * libp2p's logger on top of pino. Peers can cause every line of libp2p, its errors included, so errors and ordinary lines
 * go to `debug` and traces to `trace`. Errors that name a fault of a program are counted at any level, as
 * `strangers_total{part="network",kind="libp2p_fault"}`. Nothing is formatted unless its level is on.
 */
export function createLibp2pLogger(logger: Logger, metrics: Pick<Metrics, 'stranger'>): ComponentLogger {
  return { forComponent: (name) => scopedLogger(logger, metrics, name) }
}

function scopedLogger(logger: Logger, metrics: Pick<Metrics, 'stranger'>, component: string): Libp2pLogger {
  function log(formatter: unknown, ...args: unknown[]): void {
    if (logger.isLevelEnabled('debug')) logger.debug({ component }, formatLine(formatter, args))
  }
  const scoped = Object.assign(log, {
    error(formatter: unknown, ...args: unknown[]): void {
      if ([formatter, ...args].some(isProgramError)) metrics.stranger('network', 'libp2p_fault')
      log(formatter, ...args)
    },
    trace(formatter: unknown, ...args: unknown[]): void {
      if (logger.isLevelEnabled('trace')) logger.trace({ component }, formatLine(formatter, args))
    },
    enabled: false,
    newScope: (name: string) => scopedLogger(logger, metrics, `${component}:${name}`),
  })
  // Object.assign would have read the value once; the level can change while the node runs.
  return Object.defineProperty(scoped, 'enabled', { get: () => logger.isLevelEnabled('debug') })
}

function isProgramError(value: unknown): boolean {
  return PROGRAM_ERRORS.some((type) => value instanceof type)
}

/** Fills in the placeholders of libp2p's log lines (those of the packages `debug` and `@libp2p/logger`). */
export function formatLine(formatter: unknown, args: readonly unknown[]): string {
  if (typeof formatter !== 'string') return shorten([formatter, ...args].map(textOf).join(' '))
  let next = 0
  const line = formatter.replace(/%([%a-zA-Z])/g, (placeholder, letter: string) => {
    if (letter === '%') return '%'
    const format = FORMATS.get(letter)
    if (format === undefined || next >= args.length) return placeholder
    next += 1
    return format(args[next - 1])
  })
  return shorten([line, ...args.slice(next).map(textOf)].join(' '))
}

/** How the value of each placeholder is written. */
const FORMATS = new Map<string, (value: unknown) => string>()
for (const letter of 'acekps') FORMATS.set(letter, textOf)
for (const letter of 'bmt') FORMATS.set(letter, bytesText)
for (const letter of 'joO') FORMATS.set(letter, jsonText)
for (const letter of 'df') FORMATS.set(letter, (value) => String(Number(value)))
FORMATS.set('i', (value) => String(Math.trunc(Number(value))))

function textOf(value: unknown): string {
  if (value instanceof AggregateError) return [errorText(value), ...value.errors.map(textOf)].join('; ')
  if (value instanceof Error) return errorText(value)
  return typeof value === 'object' && value !== null && value.toString === Object.prototype.toString
    ? jsonText(value)
    : String(value)
}

/** With the stack only for bugs: the stack of a network error is always the same. */
function errorText(error: Error): string {
  return isProgramError(error) ? (error.stack ?? error.message) : `${error.name}: ${error.message}`
}

function bytesText(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : textOf(value)
}

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return '[unprintable]'
  }
}

function shorten(line: string): string {
  return line.length > MAX_LINE_CHARACTERS ? `${line.slice(0, MAX_LINE_CHARACTERS)}…` : line
}
