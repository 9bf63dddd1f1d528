import { messageOf } from '../../platform/errors.ts'
import { nodeAddress } from '../../client/node-pool.ts'
import { nestingOf } from '../../client/shapes.ts'
import { createTransport } from '../../client/transport.ts'
import { lossesOf, lossText } from '../../record/exact-json.ts'
import type { JsonLoss } from '../../record/exact-json.ts'
import { parseAvatar, uncompressedAvatar } from '../../record/keys.ts'
import type { Avatar, JsonObject, JsonValue } from '../../record/types.ts'
import { isJsonObject } from '../../state/merge-patch.ts'
import { CliError } from './errors.ts'
import { transportOptions } from './node.ts'
import { printable } from './text.ts'

/** The service looks everything up before it begins to answer. */
const TIMEOUT_MS = 60_000
/** One answer holds everything that an avatar has written. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** Keeps the walk over an answer from overflowing the stack. Contents that are nested too deeply are reported later. */
const MAX_NESTING = 1_000
const MAX_PROOFS = 100_000
/** More than a person looks through; each takes memory. */
export const MAX_PROBLEMS = 10_000

/** One of `proofs` in `GET /v1/kv`: what an avatar wrote about one account, not checked yet. */
export interface V1Proof {
  readonly platform: JsonValue | undefined
  readonly identity: JsonValue | undefined
  readonly content: JsonValue | undefined
  /** Values of this proof that JSON cannot hold, by path within the proof. */
  readonly losses: readonly JsonLoss[]
}

/**
 * Reads from a service of version 1 what an avatar has written. Older services call the avatar `persona`.
 *
 * @throws ClientError if the service cannot be reached; CliError `refused` if its answer is about another avatar, or not an
 *   answer of version 1
 */
export async function readV1(url: string, avatar: Avatar): Promise<V1Proof[]> {
  const transport = createTransport(nodeAddress(url), transportOptions({ timeoutMs: TIMEOUT_MS }))
  const key = uncompressedAvatar(avatar)
  const get = async (name: string): Promise<{ status: number; text: string }> => {
    const { response, text } = await transport.text({ path: `/v1/kv?${name}=${key}`, maxBytes: MAX_ANSWER_BYTES })
    return { status: response.status, text }
  }
  const first = await get('avatar')
  const answer = first.status === 400 ? await get('persona') : first
  // The interface's own page says 404 for an avatar that never wrote; the service answers 200 without proofs.
  if (answer.status === 404 && isJson(answer.text)) return []
  if (answer.status !== 200) {
    const said = answer.text.slice(0, 200).trim()
    throw new CliError('refused', `${url} answered ${answer.status}${said === '' ? '' : `: ${printable(said)}`}`)
  }
  try {
    return parse(answer.text, avatar)
  } catch (error) {
    if (error instanceof CliError) throw error
    throw new CliError(
      'refused',
      `What ${url} answered is not what version 1 answers: ${printable(messageOf(error))}. Is the address right?`,
    )
  }
}

/** An address without such a service mostly answers with an HTML page. */
function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

function parse(text: string, avatar: Avatar): V1Proof[] {
  if (nestingOf(text) > MAX_NESTING) throw new Error(`it is nested deeper than ${MAX_NESTING} levels`)
  const value = JSON.parse(text) as JsonValue
  if (!isJsonObject(value)) throw new Error('it is not an object')
  checkSubject(value, avatar)
  const proofs = value['proofs']
  if (!Array.isArray(proofs)) throw new Error('proofs is not a list')
  if (proofs.length > MAX_PROOFS) throw new Error(`it has more than ${MAX_PROOFS} proofs`)
  const losses = lossesByProof(text)
  return proofs.map((proof, index) => {
    if (!isJsonObject(proof)) throw new Error('one of proofs is not an object')
    const { platform, identity, content } = proof
    return { platform, identity, content, losses: losses.get(String(index)) ?? [] }
  })
}

/**
 * What JSON has lost, by index of the proof. Numbers outside of `proofs` are not read.
 *
 * @throws Error where a key outside of `proofs` stands twice: what the answer says is then not clear
 */
function lossesByProof(text: string): Map<string, JsonLoss[]> {
  const found = new Map<string, JsonLoss[]>()
  let count = 0
  for (const loss of lossesOf(text)) {
    const [top, index, ...path] = loss.path
    if (top === 'proofs' && index !== undefined && path.length > 0) {
      if (++count > MAX_PROBLEMS) throw new Error(`JSON cannot hold more than ${MAX_PROBLEMS} of its values`)
      const known = found.get(index)
      if (known === undefined) found.set(index, [{ ...loss, path }])
      else known.push({ ...loss, path })
    } else if (loss.code === 'duplicate_key') throw new Error(lossText(loss))
  }
  return found
}

/** The answer must name the avatar that was asked for: contents of one avatar must never become those of another. */
function checkSubject(value: JsonObject, avatar: Avatar): void {
  const named = [value['avatar'], value['persona']].filter((each) => each !== undefined && each !== null)
  if (named.length === 0) throw new Error('it does not say whose it is (avatar, persona)')
  for (const each of named) {
    if (typeof each !== 'string' || parseAvatar(each) !== avatar) {
      throw new Error(`it is about another avatar, ${JSON.stringify(each).slice(0, 200)}`)
    }
  }
}
