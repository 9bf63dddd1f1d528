import fc from 'fast-check'
import type { JsonObject, JsonValue, StateEntry } from '../../src/record/types.ts'
import { jsonValue } from '../oracle/json-values.ts'

/** A content as it can stand: no member is null, but elements of arrays, and what is inside them, may be. */
function asContent(value: JsonValue): JsonObject {
  const content = withoutNullMembers(value)
  return typeof content === 'object' && content !== null && !Array.isArray(content) ? content : { value: content }
}

function withoutNullMembers(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([key, member]) => [key, withoutNullMembers(member)]),
  )
}

/** Contents with awkward keys, small. */
export const smallContent: fc.Arbitrary<JsonObject> = fc
  .dictionary(fc.oneof(fc.constantFrom('a', '__proto__', '', '0', '10', 'é\u{1f600}'), fc.string()), jsonValue, {
    maxKeys: 8,
  })
  .map(asContent)

const NAMES: readonly [string, string][] = [
  ['twitter', 'alice'],
  ['twitter', 'alice '],
  ['twitter', '\ue000'],
  ['twitter', '\u{1f600}'],
  ['0', '__proto__'],
  ['a-', 'b'],
  ['a', '-b'],
  ['x'.repeat(64), 'é'.repeat(128)],
]

/** State entries of distinct namespaces, none of them the avatar's own. */
export function namespaces(content: fc.Arbitrary<JsonObject>, maxLength: number): fc.Arbitrary<StateEntry[]> {
  return fc.uniqueArray(
    fc.tuple(fc.constantFrom(...NAMES), content).map(([[platform, identity], content]) => ({
      content,
      identity,
      platform,
    })),
    { maxLength, selector: ({ platform, identity }) => `${platform} ${identity}` },
  )
}
