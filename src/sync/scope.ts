import { concatBytes } from '@noble/hashes/utils.js'

import type { Avatar } from '../record/types.ts'
import { hexBytes, hexWriter } from '../record/hex.ts'
import { SyncError } from './errors.ts'
import { AVATAR_BYTES, type FrameList } from './frame-types.ts'
import { MAX_LISTED_AVATARS } from './limits.ts'
import { sameBytes } from '../negentropy/turn.ts'
import { fingerprint, FINGERPRINT, FINGERPRINT_BYTES, VERSION } from '../negentropy/wire.ts'
import type { Scope, SyncSnapshot, SyncSource } from '../store/types.ts'

const avatarText = hexWriter('0x', AVATAR_BYTES)

/** If not all avatars fit, every list begins with this many of the newest ones in the scope, which lack most. */
const NEWEST_AVATARS = 1_000

/**
 * The list of a node's scope, with fingerprints of the records that the node holds. If the scope has more avatars than a list may,
 * each session with a peer has the newest ones and others in turn, so that several sessions together cover all.
 *
 * @param turn where the last list for this peer ended; updated
 */
export async function ownList(
  source: SyncSource,
  scope: readonly Avatar[],
  turn: { listedUpTo: number },
): Promise<{ readonly avatars: readonly Avatar[]; readonly frame: FrameList }> {
  const avatars = turnOf([...new Set(scope)], turn).sort()
  const sums = await source.avatarSums(avatars)
  return {
    avatars,
    frame: {
      avatars: concatBytes(...avatars.map((avatar) => hexBytes(avatar, 2))),
      fingerprints: concatBytes(...sums.map(({ sum, count }) => fingerprint(sum, count))),
    },
  }
}

function turnOf(scope: Avatar[], turn: { listedUpTo: number }): Avatar[] {
  if (scope.length <= MAX_LISTED_AVATARS) return scope
  const rest = scope.slice(NEWEST_AVATARS)
  const from = turn.listedUpTo % rest.length
  turn.listedUpTo = from + MAX_LISTED_AVATARS - NEWEST_AVATARS
  const others = [...rest.slice(from), ...rest.slice(0, from)].slice(0, MAX_LISTED_AVATARS - NEWEST_AVATARS)
  return [...scope.slice(0, NEWEST_AVATARS), ...others]
}

/** The avatars of a peer's list. */
function listedAvatars({ avatars }: FrameList): Avatar[] {
  const listed: Avatar[] = []
  for (let at = 0; at < avatars.length; at += AVATAR_BYTES) {
    listed.push(avatarText(avatars.subarray(at, at + AVATAR_BYTES)) as Avatar)
  }
  return listed
}

/** Which avatars of a peer's list are in this node's scope, and of which both hold different records. */
export async function compareList(
  source: SyncSource,
  scope: Scope,
  list: FrameList,
): Promise<{ avatars: Avatar[]; common: Uint8Array; differing: Uint8Array }> {
  const avatars = listedAvatars(list)
  const mine = scope === 'all' ? undefined : new Set(scope)
  const sums = await source.avatarSums(avatars)
  const common = avatars.map((avatar) => mine === undefined || mine.has(avatar))
  const differing = avatars.map((_, at) => {
    const theirs = list.fingerprints.subarray(at * FINGERPRINT_BYTES, (at + 1) * FINGERPRINT_BYTES)
    const sum = sums[at]
    return common[at] === true && (sum === undefined || !sameBytes(theirs, fingerprint(sum.sum, sum.count)))
  })
  return { avatars, common: packBits(common), differing: packBits(differing) }
}

/** The first message of a reconciliation (sync.proto): one range up to infinity with a fingerprint. */
export async function openingOf(readSnapshot: SyncSnapshot): Promise<Uint8Array> {
  const size = readSnapshot.size()
  const digest = fingerprint(await readSnapshot.sum(0, size), size)
  return Uint8Array.from([VERSION, 0, 0, FINGERPRINT, ...digest])
}

/** One bit for each element; the lowest bit of a byte comes first. */
export function packBits(bits: readonly boolean[]): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8))
  for (const [at, bit] of bits.entries()) if (bit) packed[at >> 3] = (packed[at >> 3] ?? 0) | (1 << (at & 7))
  return packed
}

function hasBit(bits: Uint8Array, at: number): boolean {
  return (((bits[at >> 3] ?? 0) >> (at & 7)) & 1) === 1
}

/** The elements whose bits are set. @throws SyncError `malformed_frame` if there are not as many bits as elements */
export function choose<T>(all: readonly T[], bits: Uint8Array): T[] {
  if (bits.length !== Math.ceil(all.length / 8)) {
    throw new SyncError('malformed_frame', `A list of ${all.length} avatars comes with ${bits.length} bytes of bits.`)
  }
  return all.filter((_, at) => hasBit(bits, at))
}
