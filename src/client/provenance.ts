import type { Avatar } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { layerDecides, traceCell, type Provenance } from '../state/provenance.ts'
import { formatPointer, parsePointer } from '../record/json-pointer.ts'
import { ClientError } from './errors.ts'
import type { LocalAvatar } from './local-avatar.ts'

/** The names on the way to a member of a content, or deeper. */
export type Path = readonly [string, ...string[]]

/**
 * @param path JSON Pointer (RFC 6901)
 * @throws ClientError `usage` where it is none, or to the content as a whole
 */
export function pathOf(path: string): Path {
  const [key, ...rest] = parsePointer(path) ?? []
  if (key === undefined) {
    throw new ClientError('usage', 'path is a JSON Pointer to a value in the content, such as /a/b.')
  }
  return [key, ...rest]
}

/** Which record set or removed a value, among records that were verified here. */
export function provenanceIn(local: LocalAvatar, name: NamespaceName, tokens: Path): Provenance {
  const [key, ...rest] = tokens
  const avatar: Avatar = local.avatar
  const question = { avatar, platform: name.platform, identity: name.identity, path: formatPointer(tokens) }
  const cell = local.cell(name, key)
  const trace = cell && traceCell(cell, rest)
  if (trace === undefined) {
    return { ...question, kind: 'unset', at: null, id: null, counter: null, created_at: null, by: null }
  }
  const record = trace.stamp.base
    ? [...local.layers()].find(({ state }) => layerDecides(state, name, tokens))?.record
    : local.get(trace.stamp.id)
  const body = record?.body
  return {
    ...question,
    kind: trace.kind,
    at: formatPointer(tokens.slice(0, trace.depth + 1)),
    id: record?.id ?? trace.stamp.id,
    counter: trace.stamp.counter,
    created_at: body?.created_at ?? null,
    by: body?.type ?? null,
  }
}
