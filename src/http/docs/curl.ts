import type { JsonObject } from '../../record/types.ts'
import { isObject } from './examples.ts'
import { objectsIn, type operationsOf } from './finish.ts'

/** Returns a command that makes a call with the examples of the description; `$NODE` is the URL of the node. */
export function curlOf({ path, method, operation }: ReturnType<typeof operationsOf>[number]): string {
  const parameters = objectsIn(operation['parameters'])
  const filled = parameters
    .filter((each) => each['in'] === 'path')
    .reduce((text, each) => text.replace(`{${String(each['name'])}}`, encodeURIComponent(exampleIn(each))), path)
  const query = parameters
    .filter((each) => each['in'] === 'query' && each['required'] === true)
    .map((each) => `${String(each['name'])}=${encodeURIComponent(exampleIn(each))}`)
    .join('&')
  const isPrivate = Array.isArray(operation['security']) && operation['security'].length > 0
  const lines = [
    `curl "$NODE${filled}${query === '' ? '' : `?${query}`}"`,
    ...(isPrivate ? ['-H "authorization: Bearer $(cat data/operator-token)"'] : []),
    ...bodyOf(operation, method),
  ]
  return lines.join(' \\\n  ')
}

function bodyOf({ requestBody }: JsonObject, method: string): string[] {
  if (method !== 'post') return []
  const content = isObject(requestBody) && isObject(requestBody['content']) ? requestBody['content'] : {}
  const [type, media] = Object.entries(content)[0] ?? []
  if (type === undefined || !isObject(media)) return ['-X POST']
  if (media['example'] === undefined) return ['--data-binary @me.avatar-kv.ndjson']
  const text = JSON.stringify(media['example']).replaceAll("'", String.raw`'\''`)
  return [`-H 'content-type: ${type}'`, `-d '${text}'`]
}

function exampleIn({ example }: JsonObject): string {
  return typeof example === 'string' ? example : JSON.stringify(example ?? '')
}
