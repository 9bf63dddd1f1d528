import type { JsonObject, JsonValue } from '../../record/types.ts'
import { exampleOf, isObject } from './examples.ts'

/** What a status means where the route does not say. */
const MEANINGS: Readonly<Record<string, string>> = { '200': 'The answer.', '201': 'Written, and on disk.' }
/** For each status of errors, one of its codes. */
const ERROR_CODES: Readonly<Record<string, string>> = {
  '400': 'invalid_request',
  '401': 'operator_only',
  '403': 'blocked',
  '404': 'unknown_avatar',
  '409': 'superseded',
  '410': 'cursor_expired',
  '413': 'body_too_large',
  '429': 'too_many_requests',
  '503': 'busy',
}
const UNSAID = 'Default Response'

/**
 * Completes a description that was made of the routes: an example for each parameter, body and answer, and each schema with
 * a title once, under `components`, so that generated clients have names for them. Changes the given object.
 *
 * @throws Error if two schemas of one title differ
 */
export function finishDescription(description: JsonObject): JsonObject {
  const schemas = new Map<string, { readonly text: string; readonly schema: JsonObject }>()
  for (const { operation } of operationsOf(description)) {
    for (const parameter of objectsIn(operation['parameters'])) {
      const { name, schema } = parameter
      if (isObject(schema) && typeof name === 'string') parameter['example'] = exampleOf(schema, name)
    }
    for (const media of mediaOf(operation['requestBody'])) finishMedia(media, schemas)
    for (const [status, response] of Object.entries(isObject(operation['responses']) ? operation['responses'] : {})) {
      if (!isObject(response)) continue
      if (response['description'] === UNSAID) response['description'] = MEANINGS[status] ?? 'The answer.'
      for (const media of mediaOf(response)) {
        finishMedia(media, schemas)
        const code = ERROR_CODES[status]
        if (code !== undefined) media['example'] = { code, message: response['description'] ?? '' }
      }
    }
  }
  const components = isObject(description['components']) ? description['components'] : {}
  const named = [...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([title, { schema }]) => [title, schema])
  // Relative to the description itself, so that it also holds below a path of a reverse proxy; the plugin takes no such URL.
  description['servers'] = [{ url: '.', description: 'The node that serves this description' }]
  description['components'] = { ...components, schemas: Object.fromEntries(named) }
  return description
}

type Schemas = Map<string, { readonly text: string; readonly schema: JsonObject }>

function finishMedia(media: JsonObject, schemas: Schemas): void {
  const { schema } = media
  if (!isObject(schema)) return
  if (schema['type'] !== 'string') media['example'] = exampleOf(schema)
  // The description of an error belongs to its status, which has it already.
  if (schema['title'] !== undefined) delete schema['description']
  media['schema'] = withReferences(schema, schemas)
}

/** Replaces each schema with a title by a reference. */
function withReferences(value: JsonValue, schemas: Schemas): JsonValue {
  if (Array.isArray(value)) return value.map((each) => withReferences(each, schemas))
  if (!isObject(value)) return value
  const schema = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withReferences(each, schemas)]))
  const { title } = schema
  if (typeof title !== 'string') return schema
  const text = JSON.stringify(schema)
  const known = schemas.get(title)
  if (known !== undefined && known.text !== text) {
    throw new Error(`Two schemas have the title ${title}. Give one of them another title.`)
  }
  schemas.set(title, { text, schema })
  return { $ref: `#/components/schemas/${title}` }
}

/** Returns the calls of a description, in its order. */
export function operationsOf(description: JsonObject) {
  const paths = isObject(description['paths']) ? description['paths'] : {}
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(isObject(methods) ? methods : {}).flatMap(([method, operation]) =>
      isObject(operation) ? [{ path, method, operation }] : [],
    ),
  )
}

export function objectsIn(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function mediaOf(holder: JsonValue | undefined): JsonObject[] {
  const content = isObject(holder) ? holder['content'] : undefined
  return isObject(content) ? Object.values(content).filter(isObject) : []
}
