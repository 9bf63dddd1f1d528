import fc from 'fast-check'
import type { JsonObject, JsonValue, RecordId } from '../../src/record/types.ts'
import { LINKS_KEY, MAX_LINKS } from '../../src/state/links.ts'
import { shuffled } from './delivery.ts'
import { HOSTILE_KEYS, jsonObject, jsonValue } from './json-values.ts'
import { signBody, testKey, type TestKey, type TestRecord } from './signing.ts'

/** Four avatars that link to each other. */
export const LINK_KEYS = [testKey(1), testKey(2), testKey(3), testKey(4)] as const
const [OWNER] = LINK_KEYS

const linkKey = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', '__proto__', '\ue000', '\u{1f600}') },
  { weight: 2, arbitrary: fc.constantFrom(...HOSTILE_KEYS) },
  { weight: 1, arbitrary: fc.constantFrom(LINKS_KEY, 'org.avatar-kv.homes', 'org.avatar-kv.', 'org.avatar-kv') },
)
const avatarText = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<string>(...LINK_KEYS.map(({ avatar }) => avatar)) },
  { weight: 1, arbitrary: fc.constantFrom<string>(OWNER.avatar.toUpperCase(), OWNER.avatar.slice(2), 'nonsense') },
)
const link: fc.Arbitrary<JsonValue> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record<{ avatar: JsonValue; label: JsonValue; since: JsonValue }>(
      { avatar: avatarText, label: jsonValue, since: jsonValue },
      { requiredKeys: ['avatar'] },
    ),
  },
  { weight: 1, arbitrary: jsonValue },
)
const links: fc.Arbitrary<JsonValue> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .uniqueArray(fc.tuple(linkKey, link), { selector: ([key]) => key, maxLength: 6 })
      .map((members): JsonObject => Object.fromEntries(members)),
  },
  // More links than count, with keys whose order by UTF-16 differs from that by UTF-8.
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: MAX_LINKS - 2, max: MAX_LINKS + 6 })
      .map((count): JsonObject =>
        Object.fromEntries(
          Array.from({ length: count }, (_, at) => [
            `${['\ue000', '\u{1f600}', 'a'][at % 3]}${at}`,
            { avatar: LINK_KEYS[1 + (at % 3)]?.avatar ?? '' },
          ]),
        ),
      ),
  },
  { weight: 1, arbitrary: jsonValue },
)

interface Write {
  readonly by: number
  readonly links: JsonValue | undefined
  readonly patch: JsonObject
  readonly elsewhere: boolean
  readonly erase: boolean
}
const write: fc.Arbitrary<Write> = fc.record({
  by: fc.integer({ min: 0, max: LINK_KEYS.length - 1 }),
  links: fc.option(links, { nil: undefined, freq: 2 }),
  patch: jsonObject,
  elsewhere: fc.boolean(),
  erase: fc.integer({ min: 0, max: 15 }).map((value) => value === 0),
})

/** Signs writes of several avatars; each cites the previous write of its avatar. */
function recordsOf(writes: readonly Write[]): TestRecord[] {
  const last = new Map<TestKey, { counter: number; id: RecordId }>()
  return writes.map(({ by, links: linked, patch, elsewhere, erase }, at) => {
    const key = LINK_KEYS[by] as TestKey
    const previous = last.get(key)
    const counter = (previous?.counter ?? 0) + 1
    const common = {
      avatar: key.avatar,
      counter,
      created_at: 1_790_000_000 + at,
      network: 'main',
      prev: previous === undefined ? [] : [previous],
      uuid: `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
      version: '2',
    } as const
    const content =
      linked === undefined ? patch : Object.fromEntries([...Object.entries(patch), [LINKS_KEY, linked] as const])
    const name =
      elsewhere && linked === undefined
        ? { platform: 'twitter', identity: 'x' }
        : { platform: 'nextid', identity: key.avatar }
    const record = signBody(
      key,
      erase
        ? { ...common, type: 'snapshot', parts: [], state: [] }
        : { ...common, type: 'patch', patch: content, ...name },
    )
    last.set(key, { counter, id: record.id })
    return record
  })
}

interface LinkScene {
  readonly writes: readonly Write[]
  readonly withheld: number
  readonly seed: number
}

/** Writes of four avatars, many of them links, and which of the records are held, in which order. */
export const linkScene: fc.Arbitrary<LinkScene> = fc.record({
  writes: fc.array(write, { maxLength: 14 }),
  withheld: fc.nat(),
  seed: fc.nat(),
})

/** The records of a scene that are held, in the order in which they arrive. */
export function heldOf({ writes, withheld, seed }: LinkScene): TestRecord[] {
  const records = recordsOf(writes)
  return shuffled(
    records.filter((_, at) => ((withheld >> at) & 7) !== 7),
    seed,
  )
}
