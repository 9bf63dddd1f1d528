import type { JsonObject, JsonValue } from '../../client/index.ts'

/** Values that are looked at for one filter: the page answers each key that is typed. */
const MAX_VALUES = 20_000

/**
 * The part of a content that fits: members whose key or value has these words in it, with what is above them. A key that fits keeps its
 * whole value. Undefined if nothing fits.
 *
 * @param name of the content; if it fits, all of it stays
 */
export function filtered(content: JsonObject, words: string, name: string): JsonObject | undefined {
  const wanted = words.trim().toLowerCase()
  let left = MAX_VALUES
  function part(value: JsonValue): JsonValue | undefined {
    if (left-- <= 0) return undefined
    if (Array.isArray(value)) {
      const items = value.map(part).filter((each) => each !== undefined)
      return items.length === 0 ? undefined : items
    }
    if (typeof value === 'object' && value !== null) return partOf(value)
    return String(value).toLowerCase().includes(wanted) ? value : undefined
  }
  function partOf(object: JsonObject): JsonObject | undefined {
    const entries = Object.entries(object).flatMap(([key, value]) => {
      const kept = key.toLowerCase().includes(wanted) ? value : part(value)
      return kept === undefined ? [] : [[key, kept] as const]
    })
    // Not by assignment: a key may be `__proto__`.
    return entries.length === 0 ? undefined : (Object.fromEntries(entries) as JsonObject)
  }
  return name.toLowerCase().includes(wanted) ? content : partOf(content)
}
