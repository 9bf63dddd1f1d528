import type { JsonObject, JsonValue } from '../../record/types.ts'

/** Whether two values are equal as JSON, whatever the order of members. Depth is bounded by that of `own`. */
export function sameJson(own: JsonValue, other: JsonValue): boolean {
  if (typeof own !== 'object' || own === null || typeof other !== 'object' || other === null) return own === other
  if (Array.isArray(own) !== Array.isArray(other)) return false
  const [entries, others] = [Object.entries(own), Object.entries(other)]
  if (entries.length !== others.length) return false
  const values = new Map<string, JsonValue>(others)
  return entries.every(([key, value]) => {
    const counterpart = values.get(key)
    return counterpart !== undefined && sameJson(value, counterpart)
  })
}

interface Named {
  readonly platform: string
  readonly identity: string
  readonly content: JsonObject
}

/** The first namespace in which two sets of contents differ, whatever their order; undefined where they are equal. */
export function differingNamespace(own: readonly Named[], other: readonly Named[]): Named | undefined {
  const name = ({ platform, identity }: Named): string => JSON.stringify([platform, identity])
  const others = new Map(other.map((each) => [name(each), each]))
  for (const each of own) {
    const counterpart = others.get(name(each))
    if (counterpart === undefined || !sameJson(each.content, counterpart.content)) return each
    others.delete(name(each))
  }
  const [more] = others.values()
  return more
}
