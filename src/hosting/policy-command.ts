/**
 * Asks a program of the operator about the first record of each new avatar (docs/protocol.md, "A program that decides").
 *
 * Guaranteed: what waits for the program is bounded, in all and for each host; every question ends after `ANSWER_MS`; a
 * program that ends, hangs or answers nonsense is started again, later after each failure; without an answer the node takes
 * no new avatar.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

import type { Logger, Metrics } from '../observe/types.ts'
import { backOffMs } from '../platform/back-off.ts'
import type { Environment } from '../platform/environment.ts'
import { messageOf } from '../platform/errors.ts'
import { replaceUnprintable } from '../platform/unprintable.ts'
import type { Avatar } from '../record/types.ts'
import { Shares } from '../shares/shares.ts'
import type { ShareLimits, Source } from '../shares/types.ts'
import type { AdmissionRefusal } from './types.ts'

export interface PolicyQuestion {
  readonly avatar: Avatar
  /** The exact text that was signed. */
  readonly payload: string
  /** How the record came: `http`, `gossip`, `follow`, `sync` or `import`. */
  readonly origin: string
  /** Whether the avatar is on the list of hosted avatars. */
  readonly listed: boolean
}

export interface PolicyCommand {
  /** Returns why the avatar is refused; undefined if the program allows it. */
  ask(question: PolicyQuestion, source: Source): Promise<AdmissionRefusal | undefined>
  start(): void
  stop(): void
}

/** A person waits for the answer to a write. */
const ANSWER_MS = 2_000
const FIRST_RESTART_MS = 1_000
const LONGEST_RESTART_MS = 60_000
/** Questions in a row without an answer after which the program counts as hanging. */
const MAX_UNANSWERED = 8
const MAX_LINE_CHARACTERS = 4_096
const MAX_REASON_CHARACTERS = 200
/** Bytes of questions that wait for answers; each counts as `LEAST_BYTES` at least, so 1,024 questions wait at most. */
const WAITING: ShareLimits = { total: 16_777_216, perKey: 4_194_304, reserve: 4_194_304, small: 524_288 }
const LEAST_BYTES = 16_384

interface Waiting {
  readonly settle: (refusal: AdmissionRefusal | undefined) => void
}

/** @param command the program and its arguments; no shell reads them */
export function createPolicyCommand(
  components: {
    readonly environment: Pick<Environment, 'timers'>
    readonly logger: Logger
    readonly metrics: Pick<Metrics, 'gauge' | 'counters'>
  },
  [program = '', ...args]: readonly string[],
): PolicyCommand {
  const { logger, metrics } = components
  const { timers } = components.environment
  const shares = new Shares(WAITING)
  const waiting = new Map<number, Waiting>()
  const asked = new Map<Avatar, Promise<AdmissionRefusal | undefined>>()
  const counts = new Map<string, number>()
  let child: ChildProcessByStdio<Writable, Readable, null> | undefined
  let lastId = 0
  let unanswered = 0
  let failures = 0
  let isStopped = false
  let cancelRestart = (): void => undefined
  metrics.counters('policy_answers_total', 'Questions on new avatars, by answer.', 'answer', () => counts)
  metrics.gauge('policy_running', '1 while the program that decides on new avatars runs.', () => (child ? 1 : 0))

  function start(): void {
    if (isStopped) return
    const started = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    child = started
    let rest = ''
    const failed = (why: string): void => {
      if (child !== started) return
      child = undefined
      started.kill('SIGKILL')
      for (const { settle } of [...waiting.values()]) settle(UNAVAILABLE)
      if (isStopped) return
      const delayMs = backOffMs(failures, FIRST_RESTART_MS, LONGEST_RESTART_MS)
      failures += 1
      logger.error(
        { program, restart_ms: delayMs },
        `the program that decides on new avatars ${why}; the node takes no new avatars until it runs again`,
      )
      cancelRestart = timers.after(delayMs, start)
    }
    started.on('error', (error) => failed(`cannot be used: ${messageOf(error)}`))
    started.on('exit', (code, signal) => failed(`ended with ${code ?? signal}`))
    // The end of the program is reported by `exit`.
    started.stdin.on('error', () => undefined)
    started.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MAX_LINE_CHARACTERS)
        return failed(`wrote a line of more than ${MAX_LINE_CHARACTERS} characters`)
      for (const line of lines) if (!take(line)) return failed('wrote a line that is not an answer')
    })
    unanswered = 0
  }

  /** Settles the question that a line answers. Returns whether the line is an answer; it may come too late. */
  function take(line: string): boolean {
    let answer: unknown
    try {
      answer = JSON.parse(line)
    } catch {
      return false
    }
    if (typeof answer !== 'object' || answer === null) return false
    const { id, allow, reason } = answer as Readonly<Record<string, unknown>>
    if (typeof id !== 'number' || typeof allow !== 'boolean') return false
    if (failures > 0) logger.info({ program }, 'the program that decides on new avatars answers again')
    failures = unanswered = 0
    waiting.get(id)?.settle(allow ? undefined : denied(typeof reason === 'string' ? reason : ''))
    return true
  }

  function put(question: PolicyQuestion, source: Source): Promise<AdmissionRefusal | undefined> {
    const id = ++lastId
    const line = `${JSON.stringify({ id, ...question })}\n`
    const hold = child && shares.take(source, Math.max(LEAST_BYTES, Buffer.byteLength(line)))
    if (child === undefined || hold === undefined || typeof hold === 'string') return Promise.resolve(UNAVAILABLE)
    const { stdin } = child
    return new Promise((resolve) => {
      const cancel = timers.after(ANSWER_MS, () => {
        settle(UNAVAILABLE)
        unanswered += 1
        // `exit` then reports it, and the program is started again.
        if (unanswered >= MAX_UNANSWERED) child?.kill('SIGKILL')
      })
      const settle = (refusal: AdmissionRefusal | undefined): void => {
        cancel()
        waiting.delete(id)
        hold.release()
        resolve(refusal)
      }
      waiting.set(id, { settle })
      stdin.write(line)
    })
  }

  return {
    start,
    ask(question, source) {
      const known = asked.get(question.avatar)
      if (known !== undefined) return known
      const answer = put(question, source).then((refusal) => {
        asked.delete(question.avatar)
        const kind = refusal === undefined ? 'allowed' : refusal === UNAVAILABLE ? 'unavailable' : 'denied'
        counts.set(kind, (counts.get(kind) ?? 0) + 1)
        return refusal
      })
      asked.set(question.avatar, answer)
      return answer
    },
    stop() {
      isStopped = true
      cancelRestart()
      for (const { settle } of [...waiting.values()]) settle(UNAVAILABLE)
      child?.kill('SIGTERM')
    },
  }
}

const UNAVAILABLE: AdmissionRefusal = {
  code: 'policy_unavailable',
  message:
    'This node asks a program of its operator about new avatars, and the program did not answer, so nothing was stored. Send ' +
    'this record again later, or use another node.',
  retry: true,
}

function denied(reason: string): AdmissionRefusal {
  const line = replaceUnprintable(reason, () => ' ').replaceAll('\n', ' ')
  const text = line.trim().slice(0, MAX_REASON_CHARACTERS)
  const why =
    text === ''
      ? 'The operator of this node does not host this avatar'
      : `The operator of this node does not host this avatar: ${text}`
  return {
    code: 'policy_denied',
    message: `${why.replace(/\.$/, '')}. Ask the operator, or use another node.`,
    retry: false,
  }
}
