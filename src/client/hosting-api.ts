/** What owners ask a node about hosting (docs/protocol.md, "Hosting"), with checked answers. */
import { homesIn } from '../homes/homes.ts'
import type { Avatar, JsonValue } from '../record/types.ts'
import { MAX_SMALL_ANSWER_BYTES } from './limits.ts'
import { count, flag, hex, object, optional, text } from './shapes.ts'
import type { Transport } from './transport.ts'

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

/** A hosting statement and its signature. */
export interface HostingRequest {
  readonly statement: string
  readonly signature: string
}

/** Sends a signed hosting statement. @throws ClientError */
export async function askHosting(transport: Transport, request: HostingRequest): Promise<HostingAnswer> {
  const body = JSON.stringify(request)
  const sent = { path: '/v2/hosting', maxBytes: MAX_SMALL_ANSWER_BYTES, body }
  const { value } = await transport.ask(sent, (answer) => {
    const { action, avatar, already, pulling } = object(answer, 'the answer')
    return {
      action: text(action, 'action'),
      avatar: hex(avatar, 'avatar', 66),
      already: flag(already, 'already'),
      pulling: flag(pulling, 'pulling'),
    }
  })
  if (value === undefined) throw transport.badAnswer('it takes no requests to be hosted')
  return value
}

/** Whether and how the node hosts an avatar. @throws ClientError */
export async function readHosted(transport: Transport, avatar: Avatar): Promise<HostedAnswer> {
  const request = { path: `/v2/hosting/${avatar}`, maxBytes: MAX_SMALL_ANSWER_BYTES }
  const { value } = await transport.ask(request, (answer) => {
    const { hosted, listed, homes, pull } = object(answer, 'the answer')
    return {
      hosted: flag(hosted, 'hosted'),
      listed: flag(listed, 'listed'),
      homes: homesIn(homes),
      pull: optional(pull, parsePull),
    }
  })
  if (value === undefined) throw transport.badAnswer('it does not tell how it hosts avatars')
  return value
}

function parsePull(value: JsonValue): PullAnswer {
  const pull = object(value, 'pull')
  return {
    state: text(pull['state'], 'pull.state'),
    from: text(pull['from'], 'pull.from'),
    stored: count(pull['stored'], 'pull.stored'),
    duplicate: count(pull['duplicate'], 'pull.duplicate'),
    refused: count(pull['refused'], 'pull.refused'),
    code: optional(pull['code'], (code) => text(code, 'pull.code')),
    message: optional(pull['message'], (message) => text(message, 'pull.message')),
  }
}
