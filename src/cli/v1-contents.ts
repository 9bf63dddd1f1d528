/** What a service of version 1 holds, as the contents of namespaces; and what of it no record can say. */
import { buildPart } from '../record/build.ts'
import { parseAvatar } from '../record/keys.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonValue, StateEntry } from '../record/types.ts'
import { FAULT_TEXTS, pathText, withoutFaults } from '../snapshot/faults.ts'
import { snapshotFaults } from '../snapshot/plan.ts'
import type { SnapshotRequest } from '../snapshot/plan.ts'
import { isJsonObject } from '../state/merge-patch.ts'
import { CliError, messageOf } from './errors.ts'
import { sameJson } from './json-equal.ts'
import type { V1Answer, V1Proof } from './v1-reader.ts'

/** Beyond that many, there is nothing for a person to look through; and each takes memory. */
const MAX_PROBLEMS = 10_000

export interface V1Contents {
  readonly namespaces: readonly StateEntry[]
  /** What was left out, and why, in words. */
  readonly problems: readonly string[]
}

/**
 * The namespaces in an answer of version 1. Under `nextid` any form of the avatar stands for its canonical text. What is
 * no namespace, or has a number that JSON cannot hold, is left out and named.
 */
export function contentsOf(avatar: Avatar, { proofs, inexact }: V1Answer): V1Contents {
  const problems: string[] = []
  const namespaces = new Map<string, StateEntry>()
  for (const proof of proofs) {
    checkNumber(problems)
    const entry = entryOf(avatar, proof, problems)
    if (entry === undefined) continue
    const { platform, identity } = entry
    const paths: string[][] = []
    for (const path of inexactPaths(entry.content, inexact)) {
      paths.push(path)
      problems.push(`${platform} ${identity}: ${pathText(path)} has an integer that a JSON number cannot hold exactly`)
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

/** The same without what no snapshot can say, which is named. */
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
  // An object that was left empty, with the long keys that lead to it, may be a fault by now.
  return sayable({ namespaces, problems }, request)
}

function entryOf(avatar: Avatar, { platform, identity, content }: V1Proof, problems: string[]): StateEntry | undefined {
  const name = `${briefly(platform)} ${briefly(identity)}`
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

/** @throws RecordError where no record can be about it */
function checkNamespace(avatar: Avatar, platform: string, identity: string): void {
  const state = [{ content: {}, identity, platform }]
  const uuid = '00000000-0000-4000-8000-000000000000'
  buildPart({ avatar, network: 'main', createdAt: 1, counter: 1, uuid, state })
}

/** Paths to values that are, or that are arrays which somewhere hold, a text that begins with `inexact`. */
function* inexactPaths(value: JsonValue, inexact: string): Generator<string[]> {
  if (!isJsonObject(value)) {
    if (holds(value, inexact)) yield []
    return
  }
  for (const [key, member] of Object.entries(value)) {
    for (const path of inexactPaths(member, inexact)) yield [key, ...path]
  }
}

function holds(value: JsonValue, inexact: string): boolean {
  if (typeof value === 'string') return value.startsWith(inexact)
  if (typeof value !== 'object' || value === null) return false
  return (Object.values(value) as JsonValue[]).some((each) => holds(each, inexact))
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
