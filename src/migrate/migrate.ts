/**
 * A migration: rounds of reading the old host and sending to the new one, until both show the same.
 *
 * Guaranteed when it resolves: the new host has acknowledged, as being on its disk, every live record that the old one sent,
 * pending ones included; and it shows the state that those records make when they are folded on this machine.
 * Not guaranteed: that the old host sent everything that it has. If it shows more than it sends, that is an error. What it
 * neither shows nor sends cannot be known.
 */
import type { Environment } from '../platform/environment.ts'
import { MigrateError } from './errors.ts'
import { MAX_ROUND_PAUSE_MS, MAX_ROUNDS, ROUND_PAUSE_MS } from './limits.ts'
import { isFinalRefusal, refusalError } from './refusals.ts'
import { sameStatus, type Staging } from './staging.ts'
import type { Side, AvatarStatus } from './types.ts'
import { pause } from './wait.ts'

/** Rounds without a movement after which a difference is examined: a write may have come between two looks. */
const IDLE_ROUNDS = 3

export interface MigrationParts {
  readonly environment: Environment
  readonly staging: Staging
  readonly from: Side
  readonly to: Side
  readonly signal: AbortSignal
}

export interface Moved {
  /**
   * `equal`: both hosts show the same. `target_has_more`: the new host has everything of the old one, and further
   * records, which stay.
   */
  readonly outcome: 'equal' | 'target_has_more'
  readonly rounds: number
  /** Records of the old host that were new here. */
  readonly taken: number
  /** Records that were new to the new host. */
  readonly given: number
  /** Records that only the new host had. */
  readonly extra: number
  /** What the new host shows. */
  readonly status: AvatarStatus
}

/**
 * Moves one avatar from a host to another. It can be repeated at any time, and resumes where it was.
 *
 * @throws MigrateError
 */
export async function migrate(parts: MigrationParts): Promise<Moved> {
  const { environment, staging, from, to, signal } = parts
  const moved = { taken: 0, given: 0, extra: 0 }
  /** Rounds in a row in which nothing moved. */
  let idle = 0
  /** Whether everything in the staging store came from the old host in this run. */
  const isFresh = (await staging.avatarStatus()) === undefined
  let isReadAgain = false
  let isGivenAgain = false

  /** Undefined if another round is needed. */
  async function round(): Promise<Pick<Moved, 'outcome' | 'status'> | undefined> {
    const taken = await from.take()
    moved.taken += taken.added
    const mine = await staging.avatarStatus()
    if (mine === undefined) throw nothing()
    const given = await to.give()
    moved.given += given.added
    moved.extra += given.brought
    const count = taken.added + given.added + given.brought
    if (given.refused.size > 0) {
      if (isFinalRefusal(given.refused) || count === 0) throw refusalError(to.name, given.refused)
      return undefined
    }
    const held = given.brought === 0 ? mine : await staging.avatarStatus()
    const there = await to.avatarStatus()
    const here = await from.avatarStatus()
    if (held !== undefined && sameStatus(held, there)) {
      if (sameStatus(here, held)) return { outcome: 'equal', status: held }
      const isExplained = !isFresh || moved.extra > 0
      if (count === 0 && isExplained && here !== undefined && (await includes(here))) {
        return { outcome: 'target_has_more', status: held }
      }
    }
    idle = count > 0 ? 0 : idle + 1
    if (idle >= IDLE_ROUNDS) await lookInto(sameStatus(held, there), there)
    return undefined
  }

  /** Nothing moves any more, and yet the hosts differ. */
  async function lookInto(isThere: boolean, there: AvatarStatus | undefined): Promise<void> {
    idle = 0
    if (!isThere) {
      const { added } = await to.take()
      moved.extra += added
      if (added > 0) return
      if (!isGivenAgain) {
        isGivenAgain = true
        moved.given += (await to.give({ fromStart: true })).added
        return
      }
      const shows = there === undefined ? 'shows nothing of the avatar' : `shows another state (digest ${there.digest})`
      throw new MigrateError(
        'target_unsound',
        `${to.name} acknowledged all records, and ${shows}. ` +
          'It may not host this avatar, or it is broken. Ask its operator, or choose another host.',
      )
    }
    if (!isReadAgain) {
      isReadAgain = true
      moved.taken += (await from.take({ fromStart: true })).added
      return
    }
    throw withheld()
  }

  /** Whether everything that a host shows is staged. Its tips and its base prove it. */
  async function includes({ tips, base }: AvatarStatus): Promise<boolean> {
    const { reader, avatar } = staging
    const summary = await reader.summary(avatar)
    for (const { id, counter } of base === null ? tips : [...tips, base]) {
      const isPast = counter < (summary?.base?.counter ?? 0)
      if (!isPast && (await reader.record(id)) === undefined) return false
    }
    return true
  }

  function nothing(): MigrateError {
    const { count, examples } = from.faults
    const beside = count === 0 ? '' : ` It sent ${count} bad records: ${examples.join('; ')}.`
    return new MigrateError('unknown_avatar', `${from.name} has nothing of ${staging.avatar}.${beside}`)
  }

  function withheld(): MigrateError {
    const { count, examples } = from.faults
    const beside =
      count === 0 ? '' : ` ${count} records that it sent are bad and were left out: ${examples.join('; ')}.`
    return new MigrateError(
      'source_unsound',
      `${from.name} does not send everything that it shows: its records make another state than it says.${beside} ` +
        `The sound records are at ${to.name} now. Name another host that has the avatar for the rest (--from).`,
    )
  }

  for (let rounds = 1; rounds <= MAX_ROUNDS; rounds += 1) {
    const ended = await round()
    if (ended !== undefined) return { ...ended, rounds, ...moved }
    await pause(environment.timers, Math.min(ROUND_PAUSE_MS * rounds, MAX_ROUND_PAUSE_MS), signal)
  }
  throw new MigrateError(
    'moving',
    `${staging.avatar} is written to faster than it can be moved. What was moved until now is at ${to.name}. ` +
      'Run the same again when it is written to less, or with --watch.',
  )
}
