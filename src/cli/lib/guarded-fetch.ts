import { Readable } from 'node:stream'

import { createPullGuard } from '../../hosting/pull-guard.ts'
import { PullError } from '../../hosting/pull-guard.ts'

/**
 * A `fetch` for addresses that a stranger named: GET only, to public addresses unless `allowPrivate`, each address of a name
 * checked just before the connection, redirects checked like new addresses.
 */
export function guardedFetch(allowPrivate: boolean): typeof fetch {
  const guard = createPullGuard({ allowPrivate })
  return async (input, init) => {
    const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url
    const { method = 'GET', signal } = init ?? {}
    if (method !== 'GET') throw new PullError('address_refused', 'A host that was found is only read from.')
    const response = await guard.answer(url, signal ?? new AbortController().signal)
    const headers = Object.entries(response.headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, [value].flat().join(', ')]],
    )
    // The types of Node and of the DOM name the same stream.
    const body = Readable.toWeb(response) as unknown as ReadableStream<Uint8Array>
    return new Response(body, { status: response.statusCode ?? 502, headers })
  }
}
