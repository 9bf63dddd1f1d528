import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, JsonValue, VerifiedRecord } from '../record/types.ts'
import { foldRecords, type Fold } from '../state/fold.ts'
import { ClientError } from './errors.ts'
import { sameJson } from './json.ts'
import type { NodeApi } from './node-api.ts'
import { readAll } from './read-all.ts'
import type { AvatarDocument } from './types.ts'

/** Writers can move an avatar while it is read; after this many tries it is moving faster than it can be read. */
const MAX_TRIES = 5
/** A node shows the greatest 16 tips and the first 100 missing ids (docs/protocol.md, "HTTP"). */
const SHOWN_TIPS = 16
const SHOWN_MISSING = 100

/** What one node says of an avatar, compared with the signed records that it hands out. */
export interface NodeCheck {
  /** What the node says. */
  readonly document: AvatarDocument
  /** What its records say. */
  readonly fold: Fold
  /** Verified, superseded ones among them, in order of arrival at the node. */
  readonly records: readonly VerifiedRecord[]
  /** Where the node and its records differ, in words; empty where they agree. */
  readonly differences: readonly string[]
}

/**
 * Reads all signed records of an avatar from one node, verifies each, folds them, and compares the result with what the node
 * says. This shows that the node invents and alters nothing, and that it shows all that these records say. It cannot show
 * that the node has the newest records: ask another node for that.
 *
 * @returns undefined where the node does not know the avatar
 * @throws ClientError where the node cannot be read, or the avatar changes faster than it can be read
 */
export async function checkNode(
  api: NodeApi,
  engine: SignatureEngine,
  avatar: Avatar,
  signal?: AbortSignal,
): Promise<NodeCheck | undefined> {
  let document = await api.document(avatar, signal)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (document === undefined) return undefined
    const read = await readAll(api, avatar, { engine, network: document.network, signal })
    const after = await api.document(avatar, signal)
    if (JSON.stringify(after) === JSON.stringify(document)) {
      const { records, faults } = read ?? { records: [], faults: [] }
      const fold = foldRecords(avatar, records)
      return { document, fold, records, differences: [...faults, ...compare(avatar, document, fold)] }
    }
    document = after
  }
  const message = `${avatar} changes faster than it can be read from ${api.url}. Try again.`
  throw new ClientError('bad_answer', message, { node: api.url })
}

function compare(avatar: Avatar, document: AvatarDocument, fold: Fold): string[] {
  const differences: string[] = []
  const expect = (name: string, said: JsonValue, found: JsonValue): void => {
    if (sameJson(found, said)) return
    differences.push(`${name}: the node says ${brief(said)}, its records say ${brief(found)}`)
  }
  const places = (list: AvatarDocument['tips']): JsonValue => list.map(({ counter, id }) => ({ counter, id }))
  expect('avatar', document.avatar, avatar)
  expect('head', document.head, fold.head)
  expect('digest', document.digest, fold.digest)
  expect('base', document.base && { ...document.base }, fold.base && { ...fold.base })
  expect('tips', places(document.tips), places(fold.tips.slice(-SHOWN_TIPS)))
  expect('tips_total', document.tips_total, fold.tips.length)
  expect('pending', document.pending, fold.pending)
  expect('missing', document.missing.total, fold.missing.length)
  expect('missing ids', [...document.missing.ids], fold.missing.slice(0, SHOWN_MISSING))
  expect('number of namespaces', document.namespaces.length, fold.namespaces.length)
  for (const [index, { platform, identity, content }] of fold.namespaces.entries()) {
    const said = document.namespaces[index]
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
