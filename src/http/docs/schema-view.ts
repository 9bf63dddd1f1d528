import type { JsonObject, JsonValue } from '../../record/types.ts'
import { isObject } from './examples.ts'
import { html, prose, type Html } from './html.ts'

/** Deeper members are not shown; no answer has them. */
const MAX_DEPTH = 8

/** Returns the schema behind a reference of the description, or the schema itself. */
function resolved(schema: JsonValue | undefined, description: JsonObject): JsonObject {
  if (!isObject(schema)) return {}
  const name = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined
  if (name === undefined) return schema
  const components = isObject(description['components']) ? description['components'] : {}
  const schemas = isObject(components['schemas']) ? components['schemas'] : {}
  return isObject(schemas[name]) ? schemas[name] : {}
}

/** Returns the members of an object, or of the objects in a list, with types and descriptions; undefined if it has none. */
export function membersView(value: JsonValue | undefined, description: JsonObject, depth = 0): Html | undefined {
  const schema = objectOf(value, description)
  const { properties, required } = schema
  if (!isObject(properties) || Object.keys(properties).length === 0 || depth > MAX_DEPTH) return undefined
  const needed = Array.isArray(required) ? required : []
  return html`<ul class="members">
    ${Object.entries(properties).map(([name, member]) => {
      const text = isObject(member) && typeof member['description'] === 'string' ? member['description'] : undefined
      return html`<li>
        <code>${name}</code>
        <span class="type">${typeOf(member, description)}${needed.includes(name) ? '' : ', optional'}</span>
        ${text === undefined ? undefined : html`<span class="about">${prose(text)}</span>`}
        ${membersView(member, description, depth + 1)}
      </li>`
    })}
  </ul>`
}

/** The object that a schema is, lists, or is where it is not null. */
function objectOf(value: JsonValue | undefined, description: JsonObject): JsonObject {
  const schema = resolved(value, description)
  if (schema['type'] === 'array') return objectOf(schema['items'], description)
  const choice = choicesOf(schema).find((each) => each['type'] !== 'null')
  return choice === undefined ? schema : objectOf(choice, description)
}

function choicesOf({ anyOf }: JsonObject): JsonObject[] {
  return Array.isArray(anyOf) ? anyOf.filter(isObject) : []
}

/** Returns a type in words, such as `integer or null`, or `list of string`. */
export function typeOf(value: JsonValue | undefined, description: JsonObject): string {
  const schema = resolved(value, description)
  const choices = choicesOf(schema)
  if (choices.length > 0) return choices.map((each) => typeOf(each, description)).join(' or ')
  if (Array.isArray(schema['enum'])) return schema['enum'].map((each) => JSON.stringify(each)).join(' or ')
  if (schema['const'] !== undefined) return JSON.stringify(schema['const'])
  if (schema['type'] === 'array') return `list of ${typeOf(schema['items'], description)}`
  return typeof schema['type'] === 'string' ? schema['type'] : 'any JSON'
}
