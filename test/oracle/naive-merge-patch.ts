import type { JsonObject, JsonValue } from '../../src/record/types.ts'

/** A JSON value whose objects are maps, so that no key has a meaning of its own. */
export type Tree = string | number | boolean | null | Tree[] | Map<string, Tree>

export function toTree(value: JsonValue): Tree {
  if (Array.isArray(value)) return value.map((element) => toTree(element))
  if (value === null || typeof value !== 'object') return value
  return new Map(Object.entries(value).map(([key, member]) => [key, toTree(member)]))
}

function fromTree(tree: Tree): JsonValue {
  if (tree instanceof Map) return fromMap(tree)
  if (Array.isArray(tree)) return tree.map((element) => fromTree(element))
  return tree
}

/** `Object.fromEntries` defines own members, `__proto__` included. */
export function fromMap(map: ReadonlyMap<string, Tree>): JsonObject {
  return Object.fromEntries([...map].map(([key, member]) => [key, fromTree(member)]))
}

/** MergePatch(Target, Patch), line for line as in RFC 7396, section 2, but on copies. */
export function mergeTrees(target: Tree | undefined, patch: Tree): Tree {
  if (!(patch instanceof Map)) return patch
  const result = target instanceof Map ? new Map(target) : new Map<string, Tree>()
  for (const [name, value] of patch) {
    if (value === null) result.delete(name)
    else result.set(name, mergeTrees(result.get(name), value))
  }
  return result
}

/** RFC 7396 on plain JSON values; neither argument is changed. */
export function naiveMergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  return fromTree(mergeTrees(target === undefined ? undefined : toTree(target), toTree(patch)))
}
