/** Decides on the first records of avatars that the node does not have yet. */
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { AdmissionRefusal, HeldAvatars } from './types.ts'
import type { DiskWatch } from './disk-watch.ts'

/** Avatars looked up at a time: a submission can name hundreds. */
const LOOKED_UP_AT_ONCE = 32

/**
 * Returns what ingest asks before it appends records. While nothing restricts new avatars, that costs nothing.
 *
 * @param components.disk whether the disk has room for new avatars
 */
export function createNewcomers({
  held,
  disk,
}: {
  readonly held: Pick<HeldAvatars, 'isHeld'>
  readonly disk: Pick<DiskWatch, 'refusesNew'>
}) {
  async function judge(records: readonly VerifiedRecord[]): Promise<Map<Avatar, AdmissionRefusal>> {
    const refusals = new Map<Avatar, AdmissionRefusal>()
    const avatars = [...new Set(records.map(({ body }) => body.avatar))]
    for (let at = 0; at < avatars.length; at += LOOKED_UP_AT_ONCE) {
      const some = avatars.slice(at, at + LOOKED_UP_AT_ONCE)
      const isHeld = await Promise.all(some.map((avatar) => held.isHeld(avatar)))
      for (const [index, avatar] of some.entries()) {
        const refusal = isHeld[index] === true ? undefined : disk.refusesNew()
        if (refusal !== undefined) refusals.set(avatar, refusal)
      }
    }
    return refusals
  }

  return {
    /** Returns the avatars whose records are refused; undefined if nothing restricts new avatars now. */
    screen: (records: readonly VerifiedRecord[]): Promise<ReadonlyMap<Avatar, AdmissionRefusal>> | undefined =>
      disk.refusesNew() === undefined ? undefined : judge(records),
  }
}
