import type { JsonValue } from '../../src/record/types.ts'

/**
 * RFC 8785 text of a JSON value without lone surrogates: equal values have equal text, whatever the order and the
 * names of their keys.
 */
export function canonicalText(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((element) => canonicalText(element)).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalText(member)}`).join(',')}}`
}
