import { homesIn } from '../../homes/homes.ts'
import type { JsonValue } from '../../record/types.ts'
import * as shapes from '../../client/shapes.ts'

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

/** @throws TypeError */
export function parseHostingAnswer(value: JsonValue): HostingAnswer {
  const answer = shapes.object(value, 'the answer')
  return {
    action: shapes.text(answer['action'], 'action'),
    avatar: shapes.hex(answer['avatar'], 'avatar', 66),
    already: shapes.flag(answer['already'], 'already'),
    pulling: shapes.flag(answer['pulling'], 'pulling'),
  }
}

/** @throws TypeError */
export function parseHostedAnswer(value: JsonValue): HostedAnswer {
  const answer = shapes.object(value, 'the answer')
  return {
    hosted: shapes.flag(answer['hosted'], 'hosted'),
    listed: shapes.flag(answer['listed'], 'listed'),
    homes: homesIn(answer['homes']),
    pull: shapes.optional(answer['pull'], parsePull),
  }
}

function parsePull(value: JsonValue): PullAnswer {
  const pull = shapes.object(value, 'pull')
  return {
    state: shapes.text(pull['state'], 'pull.state'),
    from: shapes.text(pull['from'], 'pull.from'),
    stored: shapes.count(pull['stored'], 'pull.stored'),
    duplicate: shapes.count(pull['duplicate'], 'pull.duplicate'),
    refused: shapes.count(pull['refused'], 'pull.refused'),
    code: shapes.optional(pull['code'], (code) => shapes.text(code, 'pull.code')),
    message: shapes.optional(pull['message'], (message) => shapes.text(message, 'pull.message')),
  }
}
