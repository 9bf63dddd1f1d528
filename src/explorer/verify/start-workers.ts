import type { EngineName } from '../../record/engine.ts'
import type { VerifyWorker } from './page-engine.ts'
// oxlint-disable-next-line import/default -- Vite gives the address of the built worker.
import workerUrl from './worker.ts?worker&url'

/** More share the memory bus, and each holds 16 MiB. */
const MAX_WORKERS = 2

/** Starts workers; none where the browser, or a policy of a proxy, allows none. */
export function startWorkers(): VerifyWorker[] {
  const count = Math.min(MAX_WORKERS, navigator.hardwareConcurrency || 1)
  try {
    return Array.from({ length: count }, startWorker)
  } catch {
    return []
  }
}

function startWorker(): VerifyWorker {
  const worker = new Worker(trustedUrl())
  const waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = []
  let failure: Error | undefined
  /** The next message of the worker: it answers in order. */
  const next = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (failure === undefined) waiting.push({ resolve, reject })
      else reject(failure)
    })
  const fail = (): void => {
    failure ??= new Error('The worker that verifies signatures does not run.')
    for (const { reject } of waiting.splice(0)) reject(failure)
  }
  const ready = next() as Promise<EngineName>
  worker.addEventListener('message', ({ data }: MessageEvent<unknown>) => waiting.shift()?.resolve(data))
  worker.addEventListener('error', fail)
  worker.addEventListener('messageerror', fail)
  return {
    ready,
    verify(packed) {
      const answer = next() as Promise<Uint8Array>
      worker.postMessage(packed, [packed.buffer])
      return answer
    },
    stop() {
      worker.terminate()
      fail()
    },
  }
}

/** The page's policy allows no address of a script that did not come from a Trusted Types policy of this name. */
const POLICY_NAME = 'avatar-kv'

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL(url: string): string
  }
}

let trusted: string | undefined

function trustedUrl(): string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
  // A policy of a name can be made once.
  trusted ??=
    trustedTypes?.createPolicy(POLICY_NAME, { createScriptURL: () => workerUrl }).createScriptURL('') ?? workerUrl
  return trusted
}
