import { expect, test } from 'vitest'
import { markdown, table } from './report.ts'

const section = {
  bench: 'example',
  about: 'two systems',
  rows: [
    { measure: 'writes', column: 'ours', value: 1234.5, unit: 'values/s' },
    { measure: 'writes', column: 'theirs', value: 12.34, unit: 'values/s' },
    { measure: 'writes', column: 'theirs', value: 0.5, unit: 'ratio' },
  ],
  notes: ['theirs signs once a batch'],
  seconds: 3,
}

test('a page has a column for each system, and the command, the machine and the day above', () => {
  const lines = markdown(section, '2 cores').split('\n')
  expect(lines[0]).toMatch(/^`npm run bench -- --only example`, 2 cores, \d{4}-\d\d-\d\d:$/)
  expect(lines.slice(2)).toEqual([
    '| two systems | ours | theirs |',
    '| --- | ---: | ---: |',
    '| writes, values/s | 1,235 | 12.3 |',
    '| writes, ratio |  | 0.500 |',
    '',
    '* theirs signs once a batch',
    '',
  ])
})

test('a terminal has a line for each number', () => {
  expect(table(section).split('\n')).toEqual([
    'example: two systems (3 s)',
    '  writes: ours    1,235 values/s',
    '  writes: theirs   12.3 values/s',
    '  writes: theirs  0.500 ratio',
    '  theirs signs once a batch',
    '',
  ])
})
