/** Judges the text in the editor. */
import { ClientError, mergePatchOf, type JsonObject } from '../../client/index.ts'
import { JsonTextError } from '../../record/errors.ts'
import { parseExactJson } from '../../record/exact-json.ts'
import { faultOffset } from './json-fault.ts'
import { formatPointer } from '../../record/json-pointer.ts'

export type Draft =
  /** `line`: where to look, from 1, if it is known. */
  | { readonly kind: 'wrong'; readonly message: string; readonly line?: number | undefined }
  | { readonly kind: 'same' }
  | { readonly kind: 'change'; readonly patch: JsonObject; readonly after: JsonObject }

export function judgeDraft(before: JsonObject, text: string): Draft {
  let value: unknown
  try {
    value = parseExactJson(text)
  } catch (error) {
    if (error instanceof JsonTextError && error.code !== 'invalid_json')
      return { kind: 'wrong', message: error.message }
    const line = text.slice(0, faultOffset(text)).split('\n').length
    return {
      kind: 'wrong',
      message: `That is not JSON yet: look at line ${line}, or the end of the one before it.`,
      line,
    }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { kind: 'wrong', message: 'A content is an object: it begins with { and ends with }.' }
  }
  try {
    const patch = mergePatchOf(before, value as JsonObject)
    return patch === undefined ? { kind: 'same' } : { kind: 'change', patch, after: value as JsonObject }
  } catch (error) {
    if (error instanceof ClientError) return { kind: 'wrong', message: error.message }
    throw error
  }
}

/** The paths that a patch writes to, as JSON Pointers, to find out whether two changes overlap. */
export function touched(patch: JsonObject, prefix = ''): string[] {
  return Object.entries(patch).flatMap(([key, value]) => {
    const path = prefix + formatPointer([key])
    return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
      ? touched(value, path)
      : [path]
  })
}

export function pretty(content: JsonObject): string {
  return JSON.stringify(content, null, 2)
}
