import Type from 'typebox'
import type { Static } from 'typebox'

import { readVerifiedPayload } from '../../record/payload.ts'
import type { Avatar, JsonValue } from '../../record/types.ts'
import { cellValue } from '../../state/cell.ts'
import type { StoreReader } from '../../store/types.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { AvatarText, Count, nullable, object, RecordIdText, responses } from '../lib/schemas.ts'

/** Avatars on a page. */
const PAGE_DEFAULT = 24
const PAGE_MAX = 100
/** A page ends early once this many characters of profiles have been read, shown or not. */
const PAGE_CHARACTERS = 1024 * 1024
/** The profile as docs/protocol.md bounds it: 64 KiB of picture, and 16 links. A larger one is not shown. */
const PROFILE_CHARACTERS = 128 * 1024
/** A profile grows with every patch of it. What reading one costs is at most what its avatar takes: larger avatars are listed without. */
const MAX_AVATAR_BYTES = 8 * 1024 * 1024
const PROFILE_KEY = 'org.avatar-kv.profile'

const ProfilesQuery = object({
  cursor: Type.Optional(AvatarText),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT })),
  avatar: Type.Optional(
    Type.Union([AvatarText, Type.Array(AvatarText, { maxItems: PAGE_MAX })], {
      description: `These avatars alone, without those that the node does not host. May be repeated, up to ${PAGE_MAX} times.`,
    }),
  ),
})

const Listed = object({
  avatar: Type.String(),
  records: Type.Integer({ description: 'Live records stored.' }),
  bytes: Type.Integer({ description: 'Of the payloads and signatures of all records stored.' }),
  changed_at: nullable(
    Type.Integer({ description: 'Unix seconds, as claimed by the author of the latest visible record.' }),
  ),
  profile: Type.Unsafe<JsonValue>({
    description: `The value of the key \`${PROFILE_KEY}\`, as the owner wrote it: any JSON. Null if there is none, or if it is too large.`,
  }),
})

const ProfilesAnswer = object(
  {
    avatars: Type.Array(Listed),
    cursor: nullable(Type.String(), { description: 'The cursor of the next page; null at the end.' }),
  },
  'Profiles',
)

const ActivityAnswer = object(
  {
    since: Type.Integer({
      description: 'Unix seconds since when `hours` counts: the start of the node, or 24 hours ago.',
    }),
    hours: Type.Array(Count, { description: 'Records stored in each of the last 24 hours, the present hour last.' }),
    minutes: Type.Array(Count, { description: 'The same for each of the last 60 minutes.' }),
    changes: Type.Array(
      object({
        avatar: Type.String(),
        id: RecordIdText,
        counter: Type.Integer(),
        stored_at: nullable(Type.Integer({ description: 'Null if the node stored it before it started.' })),
        created_at: nullable(Type.Integer({ description: 'As claimed by the author.' })),
        type: nullable(Type.Enum(['patch', 'snapshot', 'part'])),
        platform: nullable(Type.String()),
        identity: nullable(Type.String()),
        keys: Type.Array(Type.String(), {
          description: 'The first 4 top-level keys of a patch, each cut at 64 characters.',
        }),
      }),
      { description: 'The latest change of each of the 30 avatars that changed last, the newest first.' },
    ),
  },
  'Activity',
)

/** Calls for pages that show a node to people. Nothing in their answers is signed. */
export function addOverviewRoutes(app: HttpApp, { store, names, activity }: RouteParts): void {
  app.get(
    '/v2/profiles',
    {
      schema: {
        tags: ['Reading'],
        operationId: 'listProfiles',
        summary: 'Avatars that this node hosts, in ascending order, with their profiles and sizes',
        querystring: ProfilesQuery,
        response: responses({ 200: ProfilesAnswer }, [400]),
      },
    },
    async ({ query: { cursor, limit = PAGE_DEFAULT, avatar: named } }) => {
      const after = cursor === undefined ? {} : { after: names.parse(cursor) }
      const page =
        named === undefined ? await store.avatars({ ...after, limit }) : [named].flat().map((each) => names.parse(each))
      const avatars: Static<typeof Listed>[] = []
      let last: Avatar | undefined
      let characters = 0
      for (const avatar of page) {
        if (characters >= PAGE_CHARACTERS) break
        const listed = await listedOf(store, avatar)
        last = avatar
        characters += listed?.characters ?? 0
        if (listed !== undefined) avatars.push(listed.answer)
      }
      const isEnd = named !== undefined || (page.length < limit && last === page.at(-1))
      return { avatars, cursor: isEnd ? null : (last ?? null) }
    },
  )

  app.get(
    '/v2/activity',
    {
      schema: {
        tags: ['Reading'],
        operationId: 'getActivity',
        summary: 'Records stored in the last 24 hours, and the avatars that changed last',
        response: responses({ 200: ActivityAnswer }),
      },
    },
    async (_request, reply) => {
      const { changes, hours, minutes, since } = await activity.read()
      reply.header('cache-control', 'no-store')
      return {
        since,
        hours: [...hours],
        minutes: [...minutes],
        changes: changes.map((each) => ({ ...each, keys: [...each.keys] })),
      }
    },
  )
}

type Store = Pick<StoreReader, 'summary' | 'record' | 'member'>

/** Undefined if the avatar has been deleted meanwhile. */
async function listedOf(store: Store, avatar: Avatar) {
  const summary = await store.summary(avatar)
  if (summary === undefined) return undefined
  const tip = summary.tips.at(-1)
  const [record, cell] = await Promise.all([
    tip === undefined ? undefined : store.record(tip.id),
    summary.bytes > MAX_AVATAR_BYTES
      ? undefined
      : store.member(avatar, { platform: 'nextid', identity: avatar }, PROFILE_KEY),
  ])
  const value = cell === null || cell === undefined ? undefined : cellValue(cell)
  const characters = value === undefined ? 0 : JSON.stringify(value).length
  return {
    characters,
    answer: {
      avatar,
      records: summary.records,
      bytes: summary.bytes,
      changed_at: record === undefined ? null : readVerifiedPayload(record.payload).created_at,
      profile: value === undefined || characters > PROFILE_CHARACTERS ? null : value,
    },
  }
}
