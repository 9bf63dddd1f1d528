import { messageOf } from '../../platform/errors.ts'
import { parseSignature } from '../../record/signature.ts'
import type { SignatureEngine } from '../../record/engine.ts'
import type { Avatar, JsonValue, RecordBody, RecordId, VerifiedRecord } from '../../record/types.ts'
import { verifyRecord } from '../../record/verify.ts'
import { foldRecords } from '../../state/fold.ts'
import type { Fold } from '../../state/fold.ts'
import type { AvatarAnswer, RecordAnswer } from './answers.ts'
import { CliError } from './errors.ts'
import { sameJson } from './json-equal.ts'
import type { NodeClient } from './node-client.ts'
import { readRecords } from './records-reader.ts'

/** Writers can move an avatar while it is read; after this many tries it is moving faster than it can be read. */
const MAX_TRIES = 5
/** A node shows the greatest 16 tips and the first 100 missing ids (docs/protocol.md, "HTTP"). */
const SHOWN_TIPS = 16
const SHOWN_MISSING = 100

/** A record that was checked here. */
export interface CheckedRecord {
  readonly id: RecordId
  readonly body: RecordBody
  /** Of payload and signature. */
  readonly bytes: number
}

export interface LocalCheck {
  /** What the node said. */
  readonly answer: AvatarAnswer
  /** What its signed records say. */
  readonly fold: Fold
  /** Records whose payload and signature were checked here and found valid. */
  readonly checked: number
  /** Those records, in order of arrival at the node. */
  readonly records: readonly CheckedRecord[]
  /** Where the node's answer and its records differ, in words; empty where they agree. */
  readonly differences: readonly string[]
}

/** Checks a record as a node sent it: that it is valid in the network, of this avatar, and under its own id. */
export function checkRecord(
  engine: SignatureEngine,
  network: string,
  avatar: Avatar,
  record: RecordAnswer,
): VerifiedRecord {
  const payload = new TextEncoder().encode(record.payload)
  const signature = parseSignature(record.signature)
  const verified = verifyRecord(engine, network, { payload, signature }, { recoveryByte: false })
  if (verified.body.avatar !== avatar) throw new Error(`it is of another avatar, ${verified.body.avatar}`)
  if (verified.id !== record.id) throw new Error(`its id is ${verified.id}`)
  return verified
}

/**
 * Fetches all signed records of an avatar, verifies each on this machine, folds them, and compares the result with what
 * the node said. This shows that the node invents and alters nothing, and that it shows all that these records say. It
 * cannot show that the node holds the newest records: ask another node for that.
 *
 * @returns undefined where the node does not know the avatar
 * @throws CliError where the node cannot be read, or changes faster than it can be read
 */
export async function checkAvatar(
  client: NodeClient,
  engine: SignatureEngine,
  avatar: Avatar,
): Promise<LocalCheck | undefined> {
  let answer = await client.avatar(avatar)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (answer === undefined) return undefined
    const { network } = answer
    let records: CheckedRecord[] = []
    let differences: string[] = []
    await readRecords(client, avatar, () => {
      records = []
      differences = []
      return (record) => {
        try {
          const { id, body, payload, signature } = checkRecord(engine, network, avatar, record)
          records.push({ id, body, bytes: payload.length + signature.length })
        } catch (error) {
          differences.push(`record ${record.id} is not valid: ${messageOf(error)}`)
        }
      }
    })
    const after = await client.avatar(avatar)
    if (JSON.stringify(after) === JSON.stringify(answer)) {
      const fold = foldRecords(avatar, records)
      const found = [...differences, ...compare(avatar, answer, fold)]
      return { answer, fold, checked: records.length, records, differences: found }
    }
    answer = after
  }
  throw new CliError('refused', `${avatar} changes faster than it can be read from ${client.url}; try again.`)
}

function compare(avatar: Avatar, answer: AvatarAnswer, fold: Fold): string[] {
  const differences: string[] = []
  const expect = (name: string, said: JsonValue, found: JsonValue): void => {
    if (sameJson(found, said)) return
    differences.push(`${name}: the node says ${brief(said)}, its records say ${brief(found)}`)
  }
  const places = (list: AvatarAnswer['tips']): JsonValue => list.map(({ counter, id }) => ({ counter, id }))
  expect('avatar', answer.avatar, avatar)
  expect('head', answer.head, fold.head)
  expect('digest', answer.digest, fold.digest)
  expect('base', answer.base && { ...answer.base }, fold.base && { ...fold.base })
  expect('tips', places(answer.tips), places(fold.tips.slice(-SHOWN_TIPS)))
  expect('tips_total', answer.tips_total, fold.tips.length)
  expect('pending', answer.pending, fold.pending)
  expect('missing', answer.missing.total, fold.missing.length)
  expect('missing ids', [...answer.missing.ids], fold.missing.slice(0, SHOWN_MISSING))
  expect('number of namespaces', answer.namespaces.length, fold.namespaces.length)
  for (const [index, { platform, identity, content }] of fold.namespaces.entries()) {
    const said = answer.namespaces[index]
    if (said === undefined) break
    expect(`namespace ${index + 1}`, [said.platform, said.identity], [platform, identity])
    if (!sameJson(content, said.content)) {
      differences.push(`content of ${platform} ${identity}: the node says something else than its records`)
    }
  }
  return differences
}

function brief(value: JsonValue): string {
  const text = JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
