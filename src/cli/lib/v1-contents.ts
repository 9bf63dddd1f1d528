/** Contents of namespaces from a service of version 1, and what records cannot hold of them. */
import { messageOf } from '../../platform/errors.ts'
import { sameJson } from '../../client/json.ts'
import { buildPart } from '../../record/build.ts'
import { parseAvatar } from '../../record/keys.ts'
import { OWN_PLATFORM } from '../../record/members.ts'
import type { JsonLoss } from '../../record/exact-json.ts'
import type { Avatar, JsonObject, JsonValue, StateEntry } from '../../record/types.ts'
import { FAULT_TEXTS, pathText, withoutFaults } from '../../snapshot/faults.ts'
import { snapshotFaults } from '../../snapshot/plan.ts'
import type { SnapshotRequest } from '../../snapshot/plan.ts'
import { isJsonObject } from '../../state/merge-patch.ts'
import { CliError } from './errors.ts'
import { MAX_PROBLEMS } from './v1-reader.ts'
import type { V1Proof } from './v1-reader.ts'

export interface V1Contents {
  readonly namespaces: readonly StateEntry[]
  /** What was left out, and why, for people. */
  readonly problems: readonly string[]
}

/**
 * The namespaces in an answer of version 1. Under `nextid`, any form of the avatar becomes its canonical text. Entries that are
 * not namespaces, and values that JSON cannot hold (docs/protocol.md, "Exact numbers"), become problems.
 */
export function contentsOf(avatar: Avatar, proofs: readonly V1Proof[]): V1Contents {
  const problems: string[] = []
  const namespaces = new Map<string, StateEntry>()
  for (const proof of proofs) {
    checkNumber(problems)
    const entry = entryOf(avatar, proof, problems)
    if (entry === undefined) continue
    const { platform, identity } = entry
    const paths: (readonly string[])[] = []
    for (const {
      path: [, ...path],
      code,
      token,
    } of proof.losses) {
      const removed = outsideArrays(entry.content, path)
      paths.push(removed)
      problems.push(`${platform} ${identity}: ${pathText(removed)} ${lossWords(code, briefly(token))}`)
      checkNumber(problems)
    }
    const content = withoutFaults(
      entry.content,
      paths.map((path) => ({ path })),
    )
    const name = JSON.stringify([platform, identity])
    const twin = namespaces.get(name)
    if (twin === undefined) namespaces.set(name, { ...entry, content })
    else if (!sameJson(twin.content, content))
      problems.push(`${platform} ${identity} is there twice, with different contents`)
  }
  return { namespaces: [...namespaces.values()], problems }
}

/** The same without values that a snapshot cannot hold; these become problems. */
export function sayable(contents: V1Contents, request: Omit<SnapshotRequest, 'namespaces'>): V1Contents {
  const faults = snapshotFaults({ ...request, namespaces: contents.namespaces })
  if (faults.length === 0) return contents
  const problems = faults.map(
    ({ platform, identity, path, code }) => `${platform} ${identity}: ${pathText(path)} ${FAULT_TEXTS[code]}`,
  )
  problems.unshift(...contents.problems)
  checkNumber(problems)
  const namespaces = contents.namespaces.map(({ content, ...name }) => {
    const own = faults.filter(({ platform, identity }) => platform === name.platform && identity === name.identity)
    return { ...name, content: withoutFaults(content, own) }
  })
  // Removing values may leave an empty object under keys that are too long: check again.
  return sayable({ namespaces, problems }, request)
}

function entryOf(avatar: Avatar, proof: V1Proof, problems: string[]): StateEntry | undefined {
  const { platform, identity, content, losses } = proof
  const name = `${briefly(platform)} ${briefly(identity)}`
  const twice = losses.find(({ code, path }) => code === 'duplicate_key' && path.length === 1)
  if (twice !== undefined) {
    problems.push(`${name}: ${briefly(twice.token)} stands twice, so that nobody can tell what was meant`)
    return undefined
  }
  if (typeof platform !== 'string' || typeof identity !== 'string') {
    problems.push(`${name}: platform and identity must be texts`)
    return undefined
  }
  if (!isJsonObject(content)) {
    problems.push(`${name}: its content is not an object`)
    return undefined
  }
  try {
    const own = platform === OWN_PLATFORM ? parseAvatar(identity) : identity
    checkNamespace(avatar, platform, own)
    return { content, identity: own, platform }
  } catch (error) {
    problems.push(`${name}: ${messageOf(error)}`)
    return undefined
  }
}

/** @throws RecordError if no record can be about the namespace */
function checkNamespace(avatar: Avatar, platform: string, identity: string): void {
  const state = [{ content: {}, identity, platform }]
  const uuid = '00000000-0000-4000-8000-000000000000'
  buildPart({ avatar, network: 'main', createdAt: 1, counter: 1, uuid, state })
}

function lossWords(code: JsonLoss['code'], token: string): string {
  return code === 'duplicate_key'
    ? `has the key ${JSON.stringify(token)} twice, so that nobody can tell which value counts`
    : `has the number ${token}, which JSON numbers, read as doubles, cannot hold`
}

/** The part of a path up to its value, or up to the outermost array around it, which is removed as a whole. */
function outsideArrays(content: JsonObject, path: readonly string[]): readonly string[] {
  let value: JsonValue | undefined = content
  for (const [depth, key] of path.entries()) {
    if (!isJsonObject(value)) return path.slice(0, depth)
    value = Object.hasOwn(value, key) ? value[key] : undefined
  }
  return path
}

/** @throws CliError `failed` */
function checkNumber(problems: readonly string[]): void {
  if (problems.length <= MAX_PROBLEMS) return
  throw new CliError('failed', `More than ${MAX_PROBLEMS} values cannot be said by records; the first: ${problems[0]}`)
}

function briefly(value: JsonValue | undefined): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
