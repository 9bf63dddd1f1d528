import { homesIn } from '../homes/homes.ts'
import type { JsonValue } from '../record/types.ts'
import * as answers from './answers.ts'

/** `POST /v2/hosting`. */
export interface HostingAnswer {
  readonly action: string
  readonly avatar: `0x${string}`
  readonly already: boolean
  readonly pulling: boolean
}

export interface PullAnswer {
  readonly state: string
  readonly from: string
  readonly stored: number
  readonly duplicate: number
  readonly refused: number
  readonly code: string | null
  readonly message: string | null
}

/** `GET /v2/hosting/{avatar}`. */
export interface HostedAnswer {
  readonly hosted: boolean
  readonly listed: boolean
  readonly homes: readonly string[]
  readonly pull: PullAnswer | null
}

/** @throws AnswerError */
export function parseHostingAnswer(value: JsonValue): HostingAnswer {
  const answer = answers.object(value, 'the answer')
  return {
    action: answers.text(answer['action'], 'action'),
    avatar: answers.hex(answer['avatar'], 'avatar', 66),
    already: answer['already'] === true,
    pulling: answer['pulling'] === true,
  }
}

/** @throws AnswerError */
export function parseHostedAnswer(value: JsonValue): HostedAnswer {
  const answer = answers.object(value, 'the answer')
  return {
    hosted: answer['hosted'] === true,
    listed: answer['listed'] === true,
    homes: homesIn(answer['homes']),
    pull: answers.optional(answer['pull'], parsePull),
  }
}

function parsePull(value: JsonValue): PullAnswer {
  const pull = answers.object(value, 'pull')
  return {
    state: answers.text(pull['state'], 'pull.state'),
    from: answers.text(pull['from'], 'pull.from'),
    stored: answers.count(pull['stored'], 'pull.stored'),
    duplicate: answers.count(pull['duplicate'], 'pull.duplicate'),
    refused: answers.count(pull['refused'], 'pull.refused'),
    code: answers.optional(pull['code'], (code) => answers.text(code, 'pull.code')),
    message: answers.optional(pull['message'], (message) => answers.text(message, 'pull.message')),
  }
}
