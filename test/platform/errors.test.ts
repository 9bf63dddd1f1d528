import { expect, test } from 'vitest'

import { backOffMs } from '../../src/platform/back-off.ts'
import { codeOf, messageOf } from '../../src/platform/errors.ts'

test('the wait doubles with every failure, up to a bound, however many there are', () => {
  expect([0, 1, 2, 3, 4, 5_000].map((failures) => backOffMs(failures, 250, 3_000))).toEqual([
    250, 500, 1_000, 2_000, 3_000, 3_000,
  ])
})

test('the message and the code of whatever was thrown', () => {
  const error = Object.assign(new Error('no such file'), { code: 'ENOENT' })
  expect([messageOf(error), codeOf(error)]).toEqual(['no such file', 'ENOENT'])
  expect([messageOf('text'), messageOf(undefined), codeOf({ code: 'ENOENT' })]).toEqual([
    'text',
    'undefined',
    undefined,
  ])
  expect(codeOf(Object.assign(new Error(''), { code: 5 }))).toBeUndefined()
})
