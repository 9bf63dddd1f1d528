import type { SignatureEngine, SignatureJob } from '../../record/engine.ts'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../record/signature.ts'
import { hexBytes, hexWriter } from '../../record/hex.ts'
import type { Disk } from '../../replica/disk.ts'

/** Fewer are verified again sooner than they are read. */
const MIN_SIGNATURES = 64
/** What is stored at most: 10 MB. */
const LIMITS: StorageLimits = { signatures: 100_000, avatars: 500 }
/** A browser that is slower to read than this verifies instead: verifying 5,000 signatures takes about as long. */
const PATIENCE_MS = 1_000

const DIGEST_BYTES = 32
const ENTRY_BYTES = DIGEST_BYTES + SIGNATURE_BYTES
const keyText = hexWriter('', PUBLIC_KEY_BYTES)
const digestText = hexWriter('', DIGEST_BYTES)
const signatureText = hexWriter('', SIGNATURE_BYTES)
const entryText = hexWriter('', ENTRY_BYTES)

export interface StorageLimits {
  /** Of all avatars together. */
  readonly signatures: number
  readonly avatars: number
}

/** The row of an avatar: the digests and signatures that are good, one after the other. */
const SIGNATURES = 'signatures!'
/** The row of an avatar: how many those are, and when they were used last. */
const USES = 'uses!'
const END = '~'

interface Use {
  readonly count: number
  readonly usedMs: number
}

/**
 * An engine that stores which signatures are good, so that a later visit verifies only new ones. The id of a record alone would not do:
 * it is the hash of the payload, and says nothing of the signature that comes with it. Digest and signature together do: the digest covers
 * the payload, and the payload names the key.
 *
 * Other pages of the same origin can write to this storage. They could change this page as well.
 *
 * @param openDisk opens the storage; where that fails, or takes too long, every signature is verified
 */
export function rememberVerified(
  engine: SignatureEngine,
  openDisk: () => Promise<Disk>,
  limits: StorageLimits = LIMITS,
): SignatureEngine {
  const { verifyMany } = engine
  if (verifyMany === undefined) return engine
  let opening: Promise<Disk> | undefined

  async function open(): Promise<Disk> {
    opening ??= openDisk()
    return await opening
  }

  return {
    ...engine,
    async verifyMany(jobs, onStep) {
      const avatar = avatarOf(jobs)
      if (avatar === undefined || jobs.length < MIN_SIGNATURES) return await verifyMany(jobs, onStep)
      const stored = await inTime(open().then((disk) => disk.get(SIGNATURES + avatar)))
      const known = new Set(entriesIn(stored ?? new Uint8Array(0)))
      const entries = jobs.map(entryOf)
      const fresh = jobs.filter((_, at) => !known.has(entries[at] ?? ''))
      const before = jobs.length - fresh.length
      await onStep(before)
      const verdicts = [...(await verifyMany(fresh, (done) => onStep(before + done)))].values()
      const results = entries.map((entry) => known.has(entry) || verdicts.next().value === true)
      const good = new Set([...known, ...entries.filter((_, at) => results[at])])
      // Nothing waits for the storage. What it does not take is verified again.
      void open()
        .then((disk) => save(disk, limits, avatar, [...good].slice(-limits.signatures), good.size > known.size))
        .catch(() => {})
      return results
    },
  }
}

async function save(
  disk: Disk,
  limits: StorageLimits,
  avatar: string,
  entries: readonly string[],
  isNew: boolean,
): Promise<void> {
  const use: Use = { count: entries.length, usedMs: Date.now() }
  const uses = new Map<string, Use>()
  for await (const [key, value] of disk.rows({ after: USES, before: USES + END })) {
    uses.set(key.slice(USES.length), JSON.parse(new TextDecoder().decode(value)) as Use)
  }
  uses.delete(avatar)
  await disk.batch([
    ...evicted(limits, uses, use.count).flatMap((each) => [
      { type: 'del' as const, key: SIGNATURES + each },
      { type: 'del' as const, key: USES + each },
    ]),
    ...(isNew ? [{ type: 'put' as const, key: SIGNATURES + avatar, value: bytesOf(entries) }] : []),
    { type: 'put', key: USES + avatar, value: new TextEncoder().encode(JSON.stringify(use)) },
  ])
}

/** The avatars that were used longest ago, as many as must go beside one with `count` signatures. */
function evicted(limits: StorageLimits, uses: ReadonlyMap<string, Use>, count: number): string[] {
  let [avatars, signatures] = [1, count]
  const latestFirst = [...uses].sort(([, a], [, b]) => b.usedMs - a.usedMs)
  return latestFirst.flatMap(([avatar, use]) => {
    avatars += 1
    signatures += use.count
    return avatars > limits.avatars || signatures > limits.signatures ? [avatar] : []
  })
}

/** The hex of the key, if all jobs have the same. */
function avatarOf(jobs: readonly SignatureJob[]): string | undefined {
  const [first, ...others] = new Set(jobs.map(({ publicKey }) => keyText(publicKey)))
  return others.length === 0 ? first : undefined
}

const entryOf = ({ digest, signature }: SignatureJob): string => digestText(digest) + signatureText(signature)

function entriesIn(bytes: Uint8Array): string[] {
  const count = Math.floor(bytes.length / ENTRY_BYTES)
  return Array.from({ length: count }, (_, at) => entryText(bytes.subarray(at * ENTRY_BYTES, (at + 1) * ENTRY_BYTES)))
}

function bytesOf(entries: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES)
  for (const [at, entry] of entries.entries()) bytes.set(hexBytes(entry, 0), at * ENTRY_BYTES)
  return bytes
}

/** Undefined where a promise rejects or takes too long. */
async function inTime<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS)
  })
  try {
    return await Promise.race([promise, late])
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}
