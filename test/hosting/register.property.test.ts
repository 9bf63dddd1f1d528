import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Register, type HostingChange } from '../../src/hosting/register.ts'
import type { Avatar } from '../../src/record/types.ts'
import { propertyRuns } from '../support/runs.ts'

/** Few avatars and codes, so that changes meet each other. */
const avatar = fc.integer({ min: 0, max: 4 }).map((n): Avatar => `0x02${n.toString(16).padStart(64, '0')}`)
const code = fc.integer({ min: 0, max: 3 }).map(String)
const at = fc.integer({ min: 0, max: 100 })
const homes = fc.array(fc.constantFrom('https://a.test', '/dns4/b.test/tcp/1'), { maxLength: 2 })

const change: fc.Arbitrary<HostingChange> = fc.oneof(
  fc.record({ op: fc.constant('add' as const), avatar, at, asked: at, invite: code }),
  fc.record({ op: fc.constant('add' as const), avatar, at }),
  fc.record({ op: fc.constant('remove' as const), avatar, at, asked: at, homes, own: fc.boolean() }),
  fc.record({ op: fc.constantFrom('drop' as const, 'unblock', 'forget', 'forgot', 'pulled', 'relinked'), avatar }),
  fc.record({ op: fc.constant('block' as const), avatar, at }),
  fc.record({ op: fc.constant('invite' as const), hash: code }),
  fc.record({ op: fc.constant('pull' as const), avatar, from: fc.constant('https://a.test'), at }),
  fc.record({ op: fc.constant('unlinked' as const), avatar, at }),
  fc.constant({ op: 'revoke' as const }),
)

function after(changes: Iterable<HostingChange>): Register {
  const register = new Register()
  for (const each of changes) register.apply(each)
  return register
}

/** Everything, with the orders that count: those of who came and who went. */
function all({ hosted, gone, blocked, invites, forgetting, pulls, unlinked }: Register) {
  const sorted = <T>(items: Iterable<T>): T[] => [...items].sort()
  return [[...hosted], [...gone], sorted(blocked), sorted(invites), sorted(forgetting), sorted(pulls), sorted(unlinked)]
}

test('a register is made again of its own changes', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const register = after(changes)
      const again = after(register.changes())
      expect(all(again)).toEqual(all(register))
      expect([...register.changes()]).toHaveLength(register.size)
    }),
    { numRuns: propertyRuns(500) },
  )
})

test('an avatar is never both hosted and gone, and its newest statement is never forgotten while it is one of them', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const register = new Register()
      for (const each of changes) {
        const before = new Map([...register.hosted, ...register.gone].map(([name, { asked }]) => [name, asked]))
        register.apply(each)
        for (const name of register.hosted.keys()) expect(register.gone.has(name)).toBe(false)
        for (const name of [...register.hosted.keys(), ...register.gone.keys()]) {
          expect(register.asked(name)).toBeGreaterThanOrEqual(before.get(name) ?? 0)
        }
      }
    }),
    { numRuns: propertyRuns(500) },
  )
})
