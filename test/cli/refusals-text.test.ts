import { describe, expect, it } from 'vitest'

import { refusalsText } from '../../src/cli/lib/refusals-text.ts'

describe('refusalsText', () => {
  it('says what was not taken and why, and nothing where all was', () => {
    const stored = { status: 'stored' }
    expect(refusalsText([stored, { status: 'pending' }, { status: 'duplicate' }])).toBeUndefined()
    const refused = { status: 'refused', code: 'avatar_quota', message: 'full\u001b', retry: true }
    const text = refusalsText([stored, refused, ...Array.from({ length: 6 }, () => refused)])
    expect(text).toContain('7 of 8 records not taken')
    expect(text).toContain('record 2: refused, avatar_quota: full\\u001b (retry later)')
    expect(text).toContain('and 2 more')
  })
})
