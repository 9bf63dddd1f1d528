/** Payloads that must be refused, each with the code of the rule that it breaks and with nothing else wrong. */
import type { RecordErrorCode } from '../../src/record/errors.ts'
import { AVATAR, citation, id, nested, PART, PATCH, SNAPSHOT, text, utf8, UUID } from './fixtures.ts'
import type { Members } from './fixtures.ts'

export type Hostile = readonly [what: string, code: RecordErrorCode, payload: Uint8Array]

const patch = (changes: Members): Uint8Array => utf8(text(PATCH, changes))
const snapshot = (changes: Members): Uint8Array => utf8(text(SNAPSHOT, changes))
const part = (changes: Members): Uint8Array => utf8(text(PART, changes))
const bytes = (...pieces: (string | number[])[]): Uint8Array =>
  Uint8Array.from(pieces.flatMap((each) => (typeof each === 'string' ? [...utf8(each)] : each)))
const valid = text(PATCH)
const numbers = (count: number): string => `[${Array.from({ length: count }, () => '0').join(',')}]`
const state = (...entries: [platform: string, identity: string, content?: string][]): string =>
  `[${entries.map(([p, i, c = '{}']) => `{"content":${c},"identity":${i},"platform":"${p}"}`).join(',')}]`
const later = (prev: string, counter = '3'): Members => ({ prev, counter })
/** Members of PATCH with an empty patch: 11, and the objects in them none. */
const PATCH_MEMBERS = 11

const JSON_TEXT: Hostile[] = [
  ['nothing', 'invalid_json', bytes()],
  ['half a payload', 'invalid_json', utf8(valid.slice(0, 100))],
  ['something after the payload', 'invalid_json', utf8(`${valid}{}`)],
  ['a bare value', 'not_an_object', utf8('2')],
  ['null', 'not_an_object', utf8('null')],
  ['an array', 'not_an_object', utf8(`[${valid}]`)],
  ['a byte order mark', 'byte_order_mark', bytes([0xef, 0xbb, 0xbf], valid)],
  ['invalid UTF-8', 'invalid_utf8', bytes('{"a":"', [0xff], '"}')],
  ['overlong UTF-8', 'invalid_utf8', bytes('{"a":"', [0xc0, 0xaf], '"}')],
  ['a surrogate in UTF-8', 'invalid_utf8', bytes('{"a":"', [0xed, 0xa0, 0x80], '"}')],
  ['UTF-8 cut short', 'invalid_utf8', bytes('{"a":"', [0xe2, 0x82], '"}')],
  ['UTF-16', 'invalid_utf8', bytes([0xff, 0xfe, 0x7b, 0x00])],
  ['262,145 bytes', 'payload_too_large', patch({ patch: `{"a":"${'x'.repeat(262_145 - valid.length + 1 - 2)}"}` })],
  ['nesting 62 in a patch', 'too_deep', patch({ patch: nested(62) })],
  ['nesting 61 in a patch', 'too_deep', patch({ patch: nested(61) })],
  ['nesting 61 of arrays in a patch', 'too_deep', patch({ patch: `{"a":${'['.repeat(60)}${']'.repeat(60)}}` })],
  ['nesting 61 in a content', 'too_deep', snapshot({ state: state(['a', '"b"', nested(61)]) })],
  ['nesting 61 in the content of a part', 'too_deep', part({ state: state(['a', '"b"', nested(61)]) })],
  ['nesting 100 after text that ends in a backslash', 'too_deep', patch({ patch: `{"a":"\\\\","b":${nested(100)}}` })],
  ['nesting 1,000', 'too_deep', patch({ patch: nested(1_000) })],
  ['nesting 40,000 of objects', 'too_deep', patch({ patch: nested(40_000) })],
  ['nesting 100,000', 'too_deep', utf8(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
  ['nesting 100,000, never closed', 'too_deep', utf8(`{"a":${'['.repeat(100_000)}`)],
  ['10,001 members', 'too_many_members', patch({ patch: `{"a":${numbers(10_001 - PATCH_MEMBERS - 1)}}` })],
  ['100,000 elements', 'too_many_members', utf8(numbers(100_000))],
  ['40,000 empty objects', 'too_many_members', utf8(`[${'{},'.repeat(40_000)}{}]`)],
]

const CANONICAL: Hostile[] = [
  ['a duplicate key', 'not_canonical', utf8(valid.replace('"counter":1', '"counter":1,"counter":1'))],
  ['a duplicate key in the patch', 'not_canonical', patch({ patch: '{"a":1,"a":1}' })],
  ['a duplicate __proto__', 'not_canonical', patch({ patch: '{"__proto__":1,"__proto__":1}' })],
  ['a space', 'not_canonical', utf8(valid.replace(',', ', '))],
  ['a line feed at the end', 'not_canonical', utf8(`${valid}\n`)],
  ['a space at the start', 'not_canonical', utf8(` ${valid}`)],
  ['members out of order', 'not_canonical', utf8(`{"version":"2",${valid.slice(1).replace(',"version":"2"', '')}`)],
  ['keys of a patch out of order', 'not_canonical', patch({ patch: '{"b":1,"a":1}' })],
  ['numeric keys in numeric order', 'not_canonical', patch({ patch: '{"2":1,"10":1}' })],
  ['keys in order of code points, not UTF-16', 'not_canonical', patch({ patch: '{"\uff5e":1,"\u{1f600}":1}' })],
  ['-0', 'not_canonical', patch({ patch: '{"a":-0}' })],
  ['1.0', 'not_canonical', patch({ patch: '{"a":1.0}' })],
  ['1E3', 'not_canonical', patch({ patch: '{"a":1E3}' })],
  ['1e21 without +', 'not_canonical', patch({ patch: '{"a":1e21}' })],
  ['more digits than a double has', 'not_canonical', patch({ patch: '{"a":0.10000000000000000555}' })],
  ['2^53 + 1', 'not_canonical', patch({ patch: '{"a":9007199254740993}' })],
  ['an escaped letter', 'not_canonical', patch({ patch: '{"a":"\\u0061"}' })],
  ['an escaped slash', 'not_canonical', patch({ patch: '{"a":"\\/"}' })],
  ['an upper-case escape', 'not_canonical', patch({ patch: '{"a":"\\u001F"}' })],
  ['a long escape of a line feed', 'not_canonical', patch({ patch: '{"a":"\\u000a"}' })],
  ['an escaped surrogate pair', 'not_canonical', patch({ patch: '{"a":"\\ud83d\\ude00"}' })],
  ['an escaped key', 'not_canonical', utf8(valid.replace('"counter"', '"c\\u006funter"'))],
  ['1e400', 'invalid_number', patch({ patch: '{"a":1e400}' })],
  ['-1e400 in an array', 'invalid_number', patch({ patch: '{"a":[[-1e400]]}' })],
  ['a lone high surrogate', 'lone_surrogate', patch({ patch: '{"a":"\\ud800"}' })],
  ['a lone low surrogate', 'lone_surrogate', patch({ patch: '{"a":"\\udc00"}' })],
  ['surrogates the wrong way round', 'lone_surrogate', patch({ patch: '{"a":"\\udc00\\ud800"}' })],
  ['a lone surrogate in a key', 'lone_surrogate', patch({ patch: '{"a\\ud800":1}' })],
  ['a lone surrogate in the identity', 'lone_surrogate', patch({ identity: '"a\\ud800"' })],
]

const MEMBERS: Hostile[] = [
  ['version 3', 'wrong_version', patch({ version: '"3"' })],
  ['version 2 as a number', 'wrong_version', patch({ version: '2' })],
  ['no version', 'wrong_version', patch({ version: '' })],
  ['an unknown type', 'unknown_type', patch({ type: '"delete"' })],
  ['a type from the prototype', 'unknown_type', patch({ type: '"constructor"' })],
  ['no type', 'unknown_type', patch({ type: '' })],
  ['a member too many', 'invalid_members', patch({ zz: '1' })],
  ['__proto__ as a member', 'invalid_members', patch({ ['__proto__']: '{}', zz: '1' })],
  ['a member that is missing', 'invalid_members', patch({ uuid: '' })],
  ['a member under another name', 'invalid_members', patch({ uuid: '', uuiD: `"${UUID}"` })],
  ['prev in a part', 'invalid_members', part({ prev: '[]' })],
  ['members of a patch in a snapshot', 'invalid_members', patch({ type: '"snapshot"' })],
  ['members of a snapshot in a part', 'invalid_members', snapshot({ type: '"part"' })],
  ['another network', 'wrong_network', patch({ network: '"test"' })],
  ['an upper-case network', 'wrong_network', patch({ network: '"Main"' })],
  ['an empty network', 'wrong_network', patch({ network: '""' })],
  ['a network that is no text', 'wrong_network', patch({ network: 'null' })],
  ['an upper-case avatar', 'invalid_avatar', patch({ avatar: `"0x${AVATAR.slice(2).toUpperCase()}"` })],
  ['an avatar without 0x', 'invalid_avatar', patch({ avatar: `"${AVATAR.slice(2)}"` })],
  ['an avatar with prefix 04', 'invalid_avatar', patch({ avatar: `"0x04${AVATAR.slice(4)}${AVATAR.slice(4)}"` })],
  ['a hybrid avatar', 'invalid_avatar', patch({ avatar: `"0x06${AVATAR.slice(4)}${AVATAR.slice(4)}"` })],
  ['a compressed avatar with prefix 07', 'invalid_avatar', patch({ avatar: `"0x07${AVATAR.slice(4)}"` })],
  ['an avatar with prefix 00', 'invalid_avatar', patch({ avatar: `"0x00${AVATAR.slice(4)}"` })],
  ['an avatar of 65 digits', 'invalid_avatar', patch({ avatar: `"${AVATAR.slice(0, -1)}"` })],
  ['an avatar with a line feed', 'invalid_avatar', patch({ avatar: `"${AVATAR}\\n"` })],
  ['an avatar that is not on the curve', 'invalid_avatar', patch({ avatar: `"0x02${id(5).slice(2)}"` })],
  ['an avatar with x above the prime', 'invalid_avatar', patch({ avatar: `"0x02${'f'.repeat(64)}"` })],
  ['an avatar that is no text', 'invalid_avatar', patch({ avatar: '1' })],
  ['a uuid in upper case', 'invalid_uuid', patch({ uuid: `"${UUID.toUpperCase()}"` })],
  ['a uuid without hyphens', 'invalid_uuid', patch({ uuid: `"${UUID.replaceAll('-', '')}"` })],
  ['a platform in upper case', 'invalid_platform', patch({ platform: '"Twitter"' })],
  ['an empty platform', 'invalid_platform', patch({ platform: '""' })],
  ['a platform of 65 letters', 'invalid_platform', patch({ platform: `"${'a'.repeat(65)}"` })],
  ['a platform with a slash', 'invalid_platform', patch({ platform: '"a/b"' })],
  ['an empty identity', 'invalid_identity', patch({ identity: '""' })],
  ['an identity of 257 bytes', 'invalid_identity', patch({ identity: `"${'a'.repeat(257)}"` })],
  ['an identity of 129 letters of 2 bytes', 'invalid_identity', patch({ identity: `"${'é'.repeat(129)}"` })],
  ['an identity of 65 emoji', 'invalid_identity', patch({ identity: `"${'😀'.repeat(65)}"` })],
  ['an identity with U+001F', 'invalid_identity', patch({ identity: '"a\\u001f"' })],
  ['an identity that is no text', 'invalid_identity', patch({ identity: '7' })],
  ['nextid with another identity', 'invalid_identity', patch({ platform: '"nextid"' })],
  ['nextid in a state with another identity', 'invalid_identity', part({ state: state(['nextid', '"yeiwb"']) })],
  ['a patch that is an array', 'invalid_patch', patch({ patch: '[]' })],
  ['a patch that is null', 'invalid_patch', patch({ patch: 'null' })],
  ['a patch that is text', 'invalid_patch', patch({ patch: '"{}"' })],
]

const PLACES: Hostile[] = [
  ['counter 0', 'invalid_counter', patch({ counter: '0' })],
  ['counter -1', 'invalid_counter', patch({ counter: '-1' })],
  ['counter 1.5', 'invalid_counter', patch({ counter: '1.5' })],
  ['counter "1"', 'invalid_counter', patch({ counter: '"1"' })],
  ['counter true', 'invalid_counter', patch({ counter: 'true' })],
  ['counter 2^53', 'invalid_counter', patch({ counter: '9007199254740992' })],
  ['counter 1e400', 'invalid_counter', patch({ counter: '1e400' })],
  ['counter 0 of a part', 'invalid_counter', part({ counter: '0' })],
  ['counter 2 citing nothing', 'counter_not_next', patch({ counter: '2' })],
  ['a counter that skips one', 'counter_not_next', patch(later(`[${citation(1, id(1))}]`))],
  ['a counter as great as the cited', 'counter_not_next', patch(later(`[${citation(3, id(1))}]`))],
  [
    'a counter after the first cited only',
    'counter_not_next',
    patch(later(`[${citation(2, id(1))},${citation(3, id(2))}]`)),
  ],
  [
    'counter above created_at',
    'counter_above_created_at',
    patch({ ...later(`[${citation(2, id(1))}]`), created_at: '2' }),
  ],
  ['counter of a part above created_at', 'counter_above_created_at', part({ counter: '8', created_at: '7' })],
  ['created_at as text', 'invalid_created_at', patch({ created_at: '"1790000000"' })],
  ['created_at -1', 'invalid_created_at', patch({ created_at: '-1' })],
  ['created_at 1.5', 'invalid_created_at', patch({ created_at: '1.5' })],
  ['created_at 2^53', 'invalid_created_at', patch({ created_at: '9007199254740992' })],
  ['prev null', 'invalid_prev', patch({ prev: 'null' })],
  ['prev of an object', 'invalid_prev', patch({ prev: '{}' })],
  ['prev unsorted by counter', 'invalid_prev', patch(later(`[${citation(2, id(1))},${citation(1, id(2))}]`))],
  ['prev unsorted by id', 'invalid_prev', patch(later(`[${citation(2, id(2))},${citation(2, id(1))}]`))],
  ['prev with a citation twice', 'invalid_prev', patch(later(`[${citation(2, id(1))},${citation(2, id(1))}]`))],
  ['prev with an id twice', 'invalid_prev', patch(later(`[${citation(1, id(1))},${citation(2, id(1))}]`))],
  [
    'prev 17 long',
    'invalid_prev',
    patch(later(`[${Array.from({ length: 17 }, (_, i) => citation(2, id(i))).join(',')}]`)),
  ],
  ['an upper-case id in prev', 'invalid_prev', patch(later(`[${citation(2, `0x${'AB'.repeat(32)}`)}]`))],
  ['an id without 0x in prev', 'invalid_prev', patch(later(`[${citation(2, 'ab'.repeat(32))}]`))],
  ['a short id in prev', 'invalid_prev', patch(later(`[${citation(2, '0xab')}]`))],
  ['counter 0 in prev', 'invalid_prev', patch({ prev: `[${citation(0, id(1))}]` })],
  ['counter "2" in prev', 'invalid_prev', patch(later(`[${citation('"2"', id(1))}]`))],
  ['counter 2^53 in prev', 'invalid_prev', patch(later(`[${citation('9007199254740992', id(1))}]`))],
  ['a member too many in prev', 'invalid_prev', patch(later(`[{"counter":2,"id":"${id(1)}","z":1}]`))],
  ['an id alone in prev', 'invalid_prev', patch(later(`["${id(1)}"]`))],
  [
    'prev 17 long in a snapshot',
    'invalid_prev',
    snapshot(later(`[${Array.from({ length: 17 }, (_, i) => citation(2, id(i))).join(',')}]`)),
  ],
]

const SNAPSHOTS: Hostile[] = [
  ['state null', 'invalid_state', snapshot({ state: 'null' })],
  ['state of an object', 'invalid_state', part({ state: '{}' })],
  ['an entry of state without content', 'invalid_state', part({ state: '[{"identity":"a","platform":"b"}]' })],
  [
    'an entry of state with more',
    'invalid_state',
    part({ state: '[{"a":1,"content":{},"identity":"a","platform":"b"}]' }),
  ],
  ['content that is an array', 'invalid_state', part({ state: state(['a', '"b"', '[]']) })],
  ['content that is null', 'invalid_state', part({ state: state(['a', '"b"', 'null']) })],
  ['a namespace twice', 'invalid_state', part({ state: state(['a', '"b"'], ['a', '"b"']) })],
  ['state unsorted by platform', 'invalid_state', part({ state: state(['b', '"a"'], ['a', '"b"']) })],
  ['state unsorted by identity', 'invalid_state', part({ state: state(['a', '"b"'], ['a', '"a"']) })],
  ['state in UTF-16 order', 'invalid_state', part({ state: state(['a', '"\u{1f600}"'], ['a', '"\uff5e"']) })],
  ['a platform of state in upper case', 'invalid_platform', part({ state: state(['A', '"b"']) })],
  ['an identity of state that is empty', 'invalid_identity', part({ state: state(['a', '""']) })],
  ['parts null', 'invalid_parts', snapshot({ parts: 'null' })],
  ['a part in upper case', 'invalid_parts', snapshot({ parts: `["0x${'AB'.repeat(32)}"]` })],
  ['a part twice', 'invalid_parts', snapshot({ parts: `["${id(1)}","${id(1)}"]` })],
  ['3,501 parts', 'invalid_parts', snapshot({ parts: JSON.stringify(Array.from({ length: 3_501 }, (_, i) => id(i))) })],
]

export const HOSTILE: readonly Hostile[] = [...JSON_TEXT, ...CANONICAL, ...MEMBERS, ...PLACES, ...SNAPSHOTS]
