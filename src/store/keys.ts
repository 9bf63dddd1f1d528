/**
 * The key table. A key is one letter and the parts in the table. Numbers have 8 bytes, big-endian; avatars 33 bytes; ids 32
 * bytes. `name` is platform, 0x00, identity, 0x00 (neither can contain 0x00).
 *
 * | letter | key                          | row                                                        | derived |
 * | ------ | ---------------------------- | ---------------------------------------------------------- | ------- |
 * | m      | text                         | schema, network, epoch, totals                             | totals  |
 * | s      | sequence                     | a record, which is its entry in the change feed too        |         |
 * | f      | sequence                     | change feed: `superseded` entries, and pruned records      |         |
 * | e      | avatar sequence              | change feed: `superseded` entries of one avatar            |         |
 * | x      | time, `b` or `s` key         | quarantine: a record that failed its check, as it was      |         |
 * | b      | avatar sequence              | records of an avatar in order of arrival                   | yes     |
 * | h      | avatar counter id            | a record in order: sequence, created_at, bytes, type       | yes     |
 * | i      | id                           | location of a record: sequence, counter, type              | yes     |
 * | o      | created_at id                | live records in the order of sync: sequence                | yes     |
 * | a      | avatar                       | hosted avatars                                             | yes     |
 * | v      | avatar 0x00                  | summary                                                    | yes     |
 * | v      | avatar 0x01 name             | a namespace                                                | yes     |
 * | v      | avatar 0x01 name 0x01 member | a member of its content (`member`: see `memberKey`)        | yes     |
 * | t      | avatar 0x01 name 0x01 member | a deleted member, for records that arrive later            | yes     |
 * | k      | avatar counter id            | tips beyond those in the summary                           | yes     |
 * | p      | avatar counter id            | pending patch or incomplete snapshot: the ids it names     | yes     |
 * | q      | name avatar                  | avatars that claim a namespace                             | yes     |
 * | n      | avatar linked member         | links of an avatar: the linked avatar, and under which key | yes     |
 * | l      | linked avatar member         | the same, by linked avatar: the key's text                 | yes     |
 * | u      | avatar                       | task: remove superseded `o` rows after this position       |         |
 * | g      | avatar                       | task: prune history                                        |         |
 * | d      | avatar                       | task: delete the avatar                                    |         |
 *
 * All derived rows follow from the `s` rows. Their keys only grow, so LevelDB moves their tables from level to level without
 * writing them again. Layouts 1 to 3 stored a record as `r`, avatar, sequence; `layout.ts` converts them.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import type { Avatar, Citation, RecordId } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Bound, Item } from '../negentropy/types.ts'
import { ByteReader, ByteWriter, textBytes, toHex } from './bytes.ts'

export type Key = Uint8Array

export const AVATAR_BYTES = 33
export const ID_BYTES = 32
/** The time in an `x` key, before the original key. */
const TIME_BYTES = 8
/** Offset of the id in an `o` key: after the letter and the time. */
const ORDER_ID_AT = 9
const LINKS_LETTER = 'n'.charCodeAt(0)
/** A longer member key is stored as a hash, so that a record's text cannot make keys of the database long. */
const MAX_MEMBER_KEY_BYTES = 128

export type MetaName =
  | 'schema'
  | 'upgrade'
  | 'network'
  | 'epoch'
  | 'totals'
  | 'archive'
  | 'keeps_erased'
  | 'floor'
  | 'links'

const start = (letter: string, capacity = 96): ByteWriter => new ByteWriter(capacity).u8(letter.charCodeAt(0))

export const metaKey = (name: MetaName): Key => start('m').bytes(textBytes(name)).finish()
export const recordKey = (sequence: number): Key => start('s', 9).u64(sequence).finish()
export const arrivalKey = (avatar: Avatar, sequence: number): Key => start('b', 42).hex(avatar).u64(sequence).finish()
/** The rows that exist for as long as a record is stored and that its sequence finds. */
export const recordKeys = (avatar: Avatar, sequence: number): readonly Key[] => [
  recordKey(sequence),
  arrivalKey(avatar, sequence),
]
export const feedKey = (sequence: number): Key => start('f', 9).u64(sequence).finish()
export const avatarFeedKey = (avatar: Avatar, sequence: number): Key => start('e').hex(avatar).u64(sequence).finish()
export const quarantineKey = (timeMs: number, original: Key): Key => start('x').u64(timeMs).bytes(original).finish()
export const historyKey = (avatar: Avatar, place: Citation): Key => placeKey('h', avatar, place)
export const idKey = (id: RecordId): Key => start('i', 33).hex(id).finish()
export const orderKey = (createdAt: number, id: RecordId): Key => start('o').u64(createdAt).hex(id).finish()
export const hostedKey = (avatar: Avatar): Key => start('a').hex(avatar).finish()
export const taskKey = (task: Task, avatar: Avatar): Key => start(task).hex(avatar).finish()
export const summaryKey = (avatar: Avatar): Key => start('v').hex(avatar).u8(0).finish()
export const tipKey = (avatar: Avatar, place: Citation): Key => placeKey('k', avatar, place)
export const pendingKey = (avatar: Avatar, place: Citation): Key => placeKey('p', avatar, place)

const placeKey = (letter: string, avatar: Avatar, { counter, id }: Citation): Key =>
  start(letter).hex(avatar).u64(counter).hex(id).finish()

const name = (writer: ByteWriter, { platform, identity }: NamespaceName): ByteWriter =>
  writer.utf8(platform).u8(0).utf8(identity).u8(0)

export const namespaceKey = (avatar: Avatar, namespace: NamespaceName): Key =>
  name(start('v', 160).hex(avatar).u8(1), namespace).finish()

export function memberKey(avatar: Avatar, namespace: NamespaceName, member: string, deleted: boolean): Key {
  const writer = name(
    start(deleted ? 't' : 'v', 256)
      .hex(avatar)
      .u8(1),
    namespace,
  ).u8(1)
  return endWithMember(writer, member)
}

/** A member's key: 0x00 and its text, or, if it is long, 0x01 and its SHA-256. */
function endWithMember(writer: ByteWriter, member: string): Key {
  const bytes = textBytes(member)
  return bytes.length <= MAX_MEMBER_KEY_BYTES
    ? writer.u8(0).bytes(bytes).finish()
    : writer.u8(1).bytes(sha256(bytes)).finish()
}

/** A link of an avatar. */
export const linkKey = (avatar: Avatar, linked: Avatar, member: string): Key =>
  endWithMember(start('n', 256).hex(avatar).hex(linked), member)

/** The `l` key of an `n` key, and the reverse: the two avatars change places. */
export function reverseLinkKey(key: Key): Key {
  const reverse = Uint8Array.from(key)
  reverse[0] = (key[0] === LINKS_LETTER ? 'l' : 'n').charCodeAt(0)
  reverse.set(key.subarray(1 + AVATAR_BYTES, 1 + 2 * AVATAR_BYTES), 1)
  reverse.set(key.subarray(1, 1 + AVATAR_BYTES), 1 + AVATAR_BYTES)
  return reverse
}

/** The smallest `l` key of the owners after `owner` that link to an avatar. */
export function afterOwner(linked: Avatar, owner: Avatar): Key {
  return startingWith(start('l', 67).hex(linked).hex(owner).finish()).lt
}

/** The second avatar in an `n` or `l` key. */
export function secondAvatarInKey(key: Key): Avatar {
  return new ByteReader(key, 1 + AVATAR_BYTES).hex(AVATAR_BYTES)
}

export const identityKey = (namespace: NamespaceName, avatar: Avatar): Key =>
  name(start('q', 160), namespace).hex(avatar).finish()

export interface KeyRange {
  readonly gte: Key
  readonly lt: Key
}

/** All keys that begin with `prefix`. */
function startingWith(prefix: Key): KeyRange {
  // The smallest greater key: its last byte below 0xff is increased, and the bytes after that are dropped.
  let length = prefix.length
  while (prefix[length - 1] === 0xff) length -= 1
  // A copy: `slice` of a Buffer would share its bytes.
  const end = Uint8Array.from(prefix.subarray(0, length))
  end[length - 1] = (end[length - 1] as number) + 1
  return { gte: prefix, lt: end }
}

/** The smallest key after a key. */
export function keyAfter(key: Key): Key {
  const after = new Uint8Array(key.length + 1)
  after.set(key)
  return after
}

type AvatarTable = 'b' | 'r' | 'e' | 'h' | 'v' | 't' | 'k' | 'p' | 'n' | 'l'
/** Tables that a rebuild of all avatars begins without, and the tasks on their rows. It compares `b` rows with `s` rows. */
export const DERIVED_TABLES = ['h', 'i', 'o', 'a', 'v', 't', 'k', 'p', 'q', 'n', 'l', 'u', 'g'] as const
/** Tables of background tasks: see the table above. */
export type Task = 'u' | 'g' | 'd'

/** All rows of a table, or those of one avatar. */
export function tableRange(
  letter: AvatarTable | Task | 's' | 'f' | 'i' | 'o' | 'a' | 'q' | 'x',
  avatar?: Avatar,
): KeyRange {
  const writer = start(letter)
  return startingWith((avatar === undefined ? writer : writer.hex(avatar)).finish())
}

/** One namespace with its members. */
export function namespaceRange(avatar: Avatar, namespace: NamespaceName): KeyRange {
  return startingWith(namespaceKey(avatar, namespace))
}

/** The avatars that claim a namespace, `after` exclusive. */
export function identityRange(namespace: NamespaceName, after?: Avatar): KeyRange {
  const { gte, lt } = startingWith(name(start('q', 160), namespace).finish())
  return after === undefined ? { gte, lt } : { gte: keyAfter(identityKey(namespace, after)), lt }
}

/** History rows with a counter from `from` (inclusive) to `to` (exclusive). */
export function historyRange(avatar: Avatar, from: number, to: number): KeyRange {
  return { gte: start('h').hex(avatar).u64(from).finish(), lt: start('h').hex(avatar).u64(to).finish() }
}

/** The position in the key of an `h`, `k` or `p` row. */
export function placeInKey(key: Key): Citation {
  const reader = new ByteReader(key, 1 + AVATAR_BYTES)
  const counter = reader.u64()
  return { counter, id: reader.hex(ID_BYTES) }
}

/** Live records in the order of sync, from a bound (inclusive) to another (exclusive); null is the end. */
export function orderRange(from: Bound, to: Bound | null): KeyRange {
  return { gte: boundKey(from), lt: to === null || to.timestamp === Infinity ? tableRange('o').lt : boundKey(to) }
}

function boundKey({ timestamp, id }: Bound): Key {
  if (timestamp === Infinity) return tableRange('o').lt
  return start('o').u64(timestamp).bytes(id).finish()
}

/** The timestamp and id in an `o` key. The id is a copy, so that it does not keep the row in memory. */
export function itemInKey(key: Key): Item {
  return { timestamp: new ByteReader(key, 1).u64(), id: Uint8Array.prototype.slice.call(key, ORDER_ID_AT) }
}

/** A view of the id in an `o` key. */
export function idViewInOrderKey(key: Key): DataView {
  return new DataView(key.buffer, key.byteOffset + ORDER_ID_AT, ID_BYTES)
}

export const idText = (id: Uint8Array): RecordId => toHex(id)

/** The sequence at the end of an `s`, `b`, `e`, `f` or `r` key. */
export function sequenceInKey(key: Key): number {
  return new ByteReader(key, key.length - 8).u64()
}

/** The avatar in the key of an avatar's table. */
export function avatarInKey(key: Key): Avatar {
  return new ByteReader(key, 1).hex(AVATAR_BYTES)
}

/** The avatar of the quarantined record in an `x` key; undefined if it is unknown. */
export function avatarInQuarantineKey(key: Key): Avatar | undefined {
  if (key.length < 1 + TIME_BYTES + 1 + AVATAR_BYTES) return undefined
  return new ByteReader(key, 1 + TIME_BYTES + 1).hex(AVATAR_BYTES)
}

/** The avatar at the end of a `q` key. */
export function avatarAtEnd(key: Key): Avatar {
  return new ByteReader(key, key.length - AVATAR_BYTES).hex(AVATAR_BYTES)
}

/** The kind of row of a `v` key: the summary, a namespace, or a member of the namespace before it. */
export function kindOfViewKey(key: Key): 'summary' | 'namespace' | 'member' {
  if (key[1 + AVATAR_BYTES] === 0) return 'summary'
  const identityEnd = key.indexOf(0, key.indexOf(0, 2 + AVATAR_BYTES) + 1)
  return identityEnd === key.length - 1 ? 'namespace' : 'member'
}

/** The namespace in the `v` key of a namespace or member. */
export function namespaceInKey(key: Key): NamespaceName {
  const platformStart = 2 + AVATAR_BYTES
  const platformEnd = key.indexOf(0, platformStart)
  const identityEnd = key.indexOf(0, platformEnd + 1)
  const decoder = new TextDecoder()
  return {
    platform: decoder.decode(key.subarray(platformStart, platformEnd)),
    identity: decoder.decode(key.subarray(platformEnd + 1, identityEnd)),
  }
}
