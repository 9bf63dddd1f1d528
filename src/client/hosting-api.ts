/** What owners ask a node about hosting (docs/protocol.md, "Hosting"), with checked answers. */
import { homesIn } from '../homes/homes.ts'
import type { Avatar } from '../record/types.ts'
import { MAX_SMALL_ANSWER_BYTES } from './limits.ts'
import { avatarHex, count, fields, flag, optional, text } from './shapes.ts'
import type { Transport } from './transport.ts'

/** `POST /v2/hosting`. */
export type HostingAnswer = ReturnType<typeof parseHosting>
const parseHosting = fields({ action: text, avatar: avatarHex, already: flag, pulling: flag })

export type PullAnswer = ReturnType<typeof parsePull>
const parsePull = fields({
  state: text,
  from: text,
  stored: count,
  duplicate: count,
  refused: count,
  code: optional(text),
  message: optional(text),
})

/** `GET /v2/hosting/{avatar}`. */
export type HostedAnswer = ReturnType<typeof parseHosted>
const parseHosted = fields({ hosted: flag, listed: flag, homes: homesIn, pull: optional(parsePull) })

/** A hosting statement and its signature. */
export interface HostingRequest {
  readonly statement: string
  readonly signature: string
}

/** Sends a signed hosting statement. @throws ClientError */
export async function askHosting(transport: Transport, request: HostingRequest): Promise<HostingAnswer> {
  const body = JSON.stringify(request)
  const sent = { path: '/v2/hosting', maxBytes: MAX_SMALL_ANSWER_BYTES, body }
  const { value } = await transport.ask(sent, parseHosting)
  if (value === undefined) throw transport.badAnswer('it takes no requests to be hosted')
  return value
}

/** Whether and how the node hosts an avatar. @throws ClientError */
export async function readHosted(transport: Transport, avatar: Avatar): Promise<HostedAnswer> {
  const request = { path: `/v2/hosting/${avatar}`, maxBytes: MAX_SMALL_ANSWER_BYTES }
  const { value } = await transport.ask(request, parseHosted)
  if (value === undefined) throw transport.badAnswer('it does not tell how it hosts avatars')
  return value
}
