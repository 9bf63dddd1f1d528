/** Decides on the first records of avatars that the node does not have yet. */
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import type { DiskWatch } from './disk-watch.ts'
import { HostingError } from './errors.ts'
import type { PolicyCommand } from './policy-command.ts'
import type { AdmissionRefusal, HeldAvatars, Hosting, HostingRules } from './types.ts'

/** Avatars looked at together: a submission can name hundreds. */
const AT_ONCE = 32

type Refusals = ReadonlyMap<Avatar, AdmissionRefusal>
interface Origin {
  readonly origin: string
  readonly source: Source
}

/**
 * Returns what ingest asks before it appends records. While nothing restricts new avatars, that costs nothing.
 *
 * @param components.disk whether the disk has room for new avatars
 * @param components.command asks the operator's program. Default: every new avatar is allowed
 */
export function createNewcomers({
  held,
  hosting,
  disk,
  command,
}: {
  readonly held: Pick<HeldAvatars, 'isHeld'>
  readonly hosting: Pick<HostingRules, 'isListed'>
  readonly disk: Pick<DiskWatch, 'refusesNew'>
  readonly command: Pick<PolicyCommand, 'ask'> | undefined
}) {
  async function judgeOne({ body, payload }: VerifiedRecord, { origin, source }: Origin) {
    const { avatar } = body
    if (await held.isHeld(avatar)) return undefined
    const refusal = disk.refusesNew()
    if (refusal !== undefined || command === undefined) return refusal
    const text = new TextDecoder().decode(payload)
    return await command.ask({ avatar, payload: text, origin, listed: hosting.isListed(avatar) }, source)
  }

  async function judge(records: readonly VerifiedRecord[], origin: Origin): Promise<Refusals> {
    const refusals = new Map<Avatar, AdmissionRefusal>()
    /** The first record of each avatar. */
    const firsts = [...new Map(records.toReversed().map((record) => [record.body.avatar, record])).values()]
    for (let at = 0; at < firsts.length; at += AT_ONCE) {
      const some = firsts.slice(at, at + AT_ONCE)
      const answers = await Promise.all(some.map((record) => judgeOne(record, origin)))
      for (const [index, { body }] of some.entries()) {
        const refusal = answers[index]
        if (refusal !== undefined) refusals.set(body.avatar, refusal)
      }
    }
    return refusals
  }

  return {
    /** Returns the avatars whose records are refused; undefined if nothing restricts new avatars now. */
    screen: (records: readonly VerifiedRecord[], origin: Origin): Promise<Refusals> | undefined =>
      command === undefined && disk.refusesNew() === undefined ? undefined : judge(records, origin),
  }
}

/**
 * Hosting that puts no avatar on the list whose records the node would refuse, because its disk is getting full. An avatar that is on
 * the list already, or has records here, is no newcomer.
 */
export function withDiskRoom(
  hosting: Hosting,
  held: Pick<HeldAvatars, 'isHeld'>,
  disk: Pick<DiskWatch, 'refusesNew'>,
): Hosting {
  async function check(avatars: readonly Avatar[]): Promise<void> {
    const refusal = disk.refusesNew()
    if (refusal === undefined) return
    for (const avatar of avatars) {
      if (hosting.isListed(avatar) || (await held.isHeld(avatar))) continue
      const code = refusal.code === 'disk_full' ? 'disk_full' : 'disk_low'
      throw new HostingError(
        code,
        `The disk of this node is ${code === 'disk_full' ? 'nearly' : 'getting'} full, so it takes no new avatars. Nothing was changed. ` +
          'Ask again once it has room, or use another node.',
      )
    }
  }
  return {
    ...hosting,
    add: async (avatars) => {
      await check(avatars)
      await hosting.add(avatars)
    },
    grant: async (request) => {
      await check([request.avatar])
      return await hosting.grant(request)
    },
  }
}
