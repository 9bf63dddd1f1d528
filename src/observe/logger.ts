import { destination as pinoDestination, pino, stdTimeFunctions } from 'pino'
import type { DestinationStream, LoggerOptions as PinoOptions } from 'pino'
import { isColorSupported, prettyFactory } from 'pino-pretty'

import { createLineLimiter } from './line-limiter.ts'
import type { LineLimiter } from './line-limiter.ts'
import type { Logger } from './types.ts'

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

export interface LoggerOptions {
  readonly level: LogLevel
  /** Coloured lines for people instead of JSON lines for machines. */
  readonly pretty: boolean
}

/** Local time of day, in the notation of pino-pretty's `translateTime`. */
const TIME_FORMAT = 'SYS:HH:MM:ss.l'

/**
 * The logger of a process. It writes one line for each event to standard output, where service managers and containers read it:
 * `{"level":"info","time":"<ISO 8601, UTC>",…,"msg":"…"}`, or coloured text.
 *
 * Lines are written synchronously, so that none is lost when the process ends suddenly. Each kind of line has a rate
 * (`createLineLimiter`); a line `lines left out` says how many of each kind were omitted.
 *
 * @param destination where lines go instead of standard output
 */
export function createLogger(options: LoggerOptions, destination?: DestinationStream): Logger {
  const settings = {
    level: options.level,
    // The log collector adds process id and host name; here they would only lengthen every line.
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { logMethod: limitLines(createLineLimiter(() => performance.now())) },
  }
  const out = destination ?? pinoDestination({ dest: 1, sync: true })
  if (!options.pretty) return pino(settings, out)
  const format = prettyFactory({ colorize: destination === undefined && isColorSupported, translateTime: TIME_FORMAT })
  return pino(settings, { write: (line) => out.write(format(line)) })
}

/** Pino's hook for each line at an enabled level. */
function limitLines(limiter: LineLimiter): NonNullable<NonNullable<PinoOptions['hooks']>['logMethod']> {
  return function (args, write, level) {
    const leftOut = limiter.due()
    if (leftOut !== undefined) this.warn({ left_out: leftOut }, 'lines left out')
    if (limiter.admits(level, kindOf(args))) write.apply(this, args)
  }
}

/** The kind of a line: the component for libp2p, whose texts contain input from strangers; otherwise the text up to a colon. */
function kindOf([first, second]: readonly unknown[]): string {
  if (typeof first === 'object' && first !== null && 'component' in first) return String(first.component)
  const text = typeof first === 'string' ? first : typeof second === 'string' ? second : 'no text'
  return text.split(':', 1)[0] ?? ''
}
