/** The avatars of the host as people know them, and what happened there. None of it is verified. */
import { PROFILE_KEY, profileOf, type Profile } from '../../client/profile.ts'
import { count, fields, list, optional, text, type Shape } from '../../client/shapes.ts'
import type { JsonValue } from '../../client/types.ts'
import { askHost } from './host.ts'

/** As many as the host gives at once. */
const MAX_PAGE = 100
/** More changes than the page shows are not looked at. */
const MAX_CHANGES = 30
const HOURS = 24
const MINUTES = 60

export interface Listed {
  readonly avatar: string
  readonly records: number
  readonly bytes: number
  /** Unix seconds, as the author claims. */
  readonly changedAt: number | null
  readonly profile: Profile
}

/** A page of avatars in order of their keys. @param after the cursor of the page before; empty for the first page */
export async function readListed(limit: number, after: string, signal?: AbortSignal) {
  const query = new URLSearchParams({ limit: String(limit), ...(after === '' ? {} : { cursor: after }) }).toString()
  const page = await askHost({ path: `/v2/profiles?${query}`, signal }, parseProfiles)
  return { avatars: page.avatars.slice(0, MAX_PAGE), next: page.cursor }
}

/** What the host lists of certain avatars, by their keys. @param avatars at most 100 */
export async function readNamed(
  avatars: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Listed>> {
  const query = new URLSearchParams(avatars.map((each): [string, string] => ['avatar', each])).toString()
  const page =
    avatars.length === 0 ? { avatars: [] } : await askHost({ path: `/v2/profiles?${query}`, signal }, parseProfiles)
  return new Map(page.avatars.map((each) => [each.avatar, each]))
}

/** A number of any size and sign: authors state times. */
const time: Shape<number> = (value, name = 'the time') => {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new TypeError(`${name} is not a number`)
}

const anyJson: Shape<JsonValue> = (value) => value ?? null

const listed = fields({ avatar: text, records: count, bytes: count, changed_at: optional(time), profile: anyJson })

const parseProfiles = fields({
  avatars: list((value, name): Listed => {
    const { avatar, records, bytes, changed_at, profile } = listed(value, name)
    return { avatar, records, bytes, changedAt: changed_at, profile: profileOf({ [PROFILE_KEY]: profile }) }
  }),
  /** Where the next page begins; null at the end. */
  cursor: optional(text),
})

export type Activity = Awaited<ReturnType<typeof readActivity>>
export async function readActivity(signal?: AbortSignal) {
  const { since, hours, minutes, changes } = await askHost({ path: '/v2/activity', signal }, parseActivity)
  return { since, hours: hours.slice(-HOURS), minutes: minutes.slice(-MINUTES), changes: changes.slice(0, MAX_CHANGES) }
}

export type Change = Activity['changes'][number]
const parseActivity = fields({
  since: count,
  hours: list(count),
  minutes: list(count),
  changes: list(
    fields({
      avatar: text,
      id: text,
      counter: count,
      stored_at: optional(time),
      created_at: optional(time),
      type: optional(text),
      platform: optional(text),
      identity: optional(text),
      keys: list(text),
    }),
  ),
})
