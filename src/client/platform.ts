import { ClientError } from './errors.ts'

/** What the client uses of a platform beside ECMAScript 2022, with the way to find out whether it is there. */
const NEEDED: readonly (readonly [name: string, find: () => unknown])[] = [
  ['AbortController', () => globalThis.AbortController],
  ['TextEncoder', () => globalThis.TextEncoder],
  ['TextDecoder', () => globalThis.TextDecoder],
  ['URL.canParse', () => (URL as Partial<typeof URL>).canParse],
  ['structuredClone', () => globalThis.structuredClone],
  ['Array.prototype.toSorted', () => (Array.prototype as Partial<unknown[]>).toSorted],
]

/**
 * The `fetch` to use: the caller's, or the platform's.
 *
 * @returns `streams`: whether its answers are known to have a body that can be read piece by piece; React Native's have none
 * @throws ClientError `unsupported` where the platform lacks something, with the names of all that it lacks
 */
export function fetchFor(given: typeof fetch | undefined): { readonly fetch: typeof fetch; readonly streams: boolean } {
  const needed = [...NEEDED, ['fetch', () => given ?? globalThis.fetch] as const]
  const missing = needed.filter(([, find]) => typeof find() !== 'function').map(([name]) => name)
  if (missing.length > 0) {
    const advice = missing.includes('fetch') ? 'Load a polyfill first, or hand in `fetch`.' : 'Load a polyfill first.'
    throw new ClientError('unsupported', `This platform lacks ${missing.join(', ')}. ${advice}`)
  }
  const streams = given === undefined && typeof Response === 'function' && 'body' in Response.prototype
  // Browsers want it called as theirs.
  return { fetch: given ?? ((input, init) => fetch(input, init)), streams }
}
