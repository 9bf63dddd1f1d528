import { bytesToHex } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import {
  avatarBytes,
  avatarOf,
  checkPoint,
  parseAvatar,
  parseSecretKey,
  uncompressedAvatar,
} from '../../src/record/keys.ts'
import { AVATAR, id, SECRET_KEY } from './fixtures.ts'

const HEX = AVATAR.slice(2)
const UNCOMPRESSED = uncompressedAvatar(AVATAR)
const Y = UNCOMPRESSED.slice(68)

describe('parseAvatar', () => {
  it.each([
    AVATAR,
    HEX,
    HEX.toUpperCase(),
    `0X${HEX.toUpperCase()}`,
    UNCOMPRESSED,
    UNCOMPRESSED.slice(2).toUpperCase(),
  ])('takes %s', (text) => expect(parseAvatar(text)).toBe(AVATAR))

  it.each([
    ['nothing', ''],
    ['the hybrid form', `0x06${HEX.slice(2)}${Y}`],
    ['the other hybrid form', `0x07${HEX.slice(2)}${Y}`],
    ['a compressed form with prefix 04', `0x04${HEX.slice(2)}`],
    ['a digit too few', AVATAR.slice(0, -1)],
    ['a digit too many', `${AVATAR}0`],
    ['white space', ` ${AVATAR}`],
    ['a line feed', `${AVATAR}\n`],
    ['another letter', `${AVATAR.slice(0, -1)}g`],
    ['0x twice', `0x${AVATAR}`],
    ['a letter that lower case makes longer', `İ${HEX.slice(1)}`],
    ['no point on the curve', `0x02${id(5).slice(2)}`],
    ['an x above the prime', `0x03${'f'.repeat(64)}`],
    ['a y that is not that of x', `${UNCOMPRESSED.slice(0, -1)}${UNCOMPRESSED.endsWith('0') ? '1' : '0'}`],
    ['a megabyte', 'a'.repeat(1_048_576)],
  ])('refuses %s', (_, text) => {
    expect(() => parseAvatar(text)).toThrow(expect.objectContaining({ name: 'RecordError', code: 'invalid_avatar' }))
  })
})

it('checkPoint refuses what is no point each time, also after one that is', () => {
  const none = `0x02${id(5).slice(2)}` as const
  for (let time = 0; time < 3; time++) {
    expect(() => checkPoint(AVATAR)).not.toThrow()
    expect(() => checkPoint(none)).toThrow(expect.objectContaining({ code: 'invalid_avatar' }))
    expect(() => checkPoint(none)).toThrow(expect.objectContaining({ code: 'invalid_avatar' }))
  }
})

describe('secret keys', () => {
  it.each([id(1), id(1).slice(2), `${id(1).toUpperCase().replace('X', 'x')}\n`])('are read from %j', (text) => {
    expect(bytesToHex(parseSecretKey(text))).toBe(id(1).slice(2))
  })

  it.each([
    ['no text', ''],
    ['zero', id(0)],
    ['the order of the curve', 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'],
    ['63 digits', id(1).slice(3)],
    ['words', 'not a key'],
  ])('are not %s', (_, text) => {
    const message = expect.not.stringContaining(text === '' ? '\n' : text) as unknown
    expect(() => parseSecretKey(text)).toThrow(expect.objectContaining({ code: 'invalid_secret_key', message }))
  })

  it('have an avatar', () => {
    expect(avatarOf(SECRET_KEY)).toBe('0x02125f1d96b192e47cea6fd392981b15acf131918f4c53f9ec74783539c9409212')
    expect(bytesToHex(avatarBytes(AVATAR))).toBe(HEX)
    for (const bytes of [new Uint8Array(32), new Uint8Array(31).fill(1), new Uint8Array(33).fill(1)]) {
      expect(() => avatarOf(bytes)).toThrow(expect.objectContaining({ code: 'invalid_secret_key' }))
    }
  })
})
