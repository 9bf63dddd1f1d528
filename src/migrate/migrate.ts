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
  return new Migration(parts).run()
}

class Migration {
  readonly #parts: MigrationParts
  #taken = 0
  #given = 0
  #extra = 0
  /** Rounds in a row in which nothing moved. */
  #idle = 0
  /** Whether everything in the staging store came from the old host in this run. */
  #isFresh = false
  #isReadAgain = false
  #isGivenAgain = false

  constructor(parts: MigrationParts) {
    this.#parts = parts
  }

  async run(): Promise<Moved> {
    const { environment, staging, signal } = this.#parts
    this.#isFresh = (await staging.avatarStatus()) === undefined
    for (let rounds = 1; rounds <= MAX_ROUNDS; rounds += 1) {
      const ended = await this.#round()
      if (ended !== undefined) {
        return { ...ended, rounds, taken: this.#taken, given: this.#given, extra: this.#extra }
      }
      await pause(environment.timers, Math.min(ROUND_PAUSE_MS * rounds, MAX_ROUND_PAUSE_MS), signal)
    }
    throw new MigrateError(
      'moving',
      `${staging.avatar} is written to faster than it can be moved. What was moved until now is at ${this.#parts.to.name}. ` +
        'Run the same again when it is written to less, or with --watch.',
    )
  }

  /** Undefined if another round is needed. */
  async #round(): Promise<Pick<Moved, 'outcome' | 'status'> | undefined> {
    const { staging, from, to } = this.#parts
    const taken = await from.take()
    this.#taken += taken.added
    const mine = await staging.avatarStatus()
    if (mine === undefined) throw this.#nothing()
    const given = await to.give()
    this.#given += given.added
    this.#extra += given.brought
    const moved = taken.added + given.added + given.brought
    if (given.refused.size > 0) {
      if (isFinalRefusal(given.refused) || moved === 0) throw refusalError(to.name, given.refused)
      return undefined
    }
    const held = given.brought === 0 ? mine : await staging.avatarStatus()
    const there = await to.avatarStatus()
    const here = await from.avatarStatus()
    if (held !== undefined && sameStatus(held, there)) {
      if (sameStatus(here, held)) return { outcome: 'equal', status: held }
      const isExplained = !this.#isFresh || this.#extra > 0
      if (moved === 0 && isExplained && here !== undefined && (await this.#includes(here))) {
        return { outcome: 'target_has_more', status: held }
      }
    }
    this.#idle = moved > 0 ? 0 : this.#idle + 1
    if (this.#idle >= IDLE_ROUNDS) await this.#lookInto(sameStatus(held, there), there)
    return undefined
  }

  /** Nothing moves any more, and yet the hosts differ. */
  async #lookInto(isThere: boolean, there: AvatarStatus | undefined): Promise<void> {
    const { from, to } = this.#parts
    this.#idle = 0
    if (!isThere) {
      const { added } = await to.take()
      this.#extra += added
      if (added > 0) return
      if (!this.#isGivenAgain) {
        this.#isGivenAgain = true
        this.#given += (await to.give({ fromStart: true })).added
        return
      }
      const shows = there === undefined ? 'shows nothing of the avatar' : `shows another state (digest ${there.digest})`
      throw new MigrateError(
        'target_unsound',
        `${to.name} acknowledged all records, and ${shows}. ` +
          'It may not host this avatar, or it is broken. Ask its operator, or choose another host.',
      )
    }
    if (!this.#isReadAgain) {
      this.#isReadAgain = true
      this.#taken += (await from.take({ fromStart: true })).added
      return
    }
    throw this.#withheld()
  }

  /** Whether everything that a host shows is staged. Its tips and its base prove it. */
  async #includes({ tips, base }: AvatarStatus): Promise<boolean> {
    const { reader, avatar } = this.#parts.staging
    const summary = await reader.summary(avatar)
    for (const { id, counter } of base === null ? tips : [...tips, base]) {
      const isPast = counter < (summary?.base?.counter ?? 0)
      if (!isPast && (await reader.record(id)) === undefined) return false
    }
    return true
  }

  #nothing(): MigrateError {
    const { from, staging } = this.#parts
    const { count, examples } = from.faults
    const beside = count === 0 ? '' : ` It sent ${count} bad records: ${examples.join('; ')}.`
    return new MigrateError('unknown_avatar', `${from.name} has nothing of ${staging.avatar}.${beside}`)
  }

  #withheld(): MigrateError {
    const { from, to } = this.#parts
    const { count, examples } = from.faults
    const beside =
      count === 0 ? '' : ` ${count} records that it sent are bad and were left out: ${examples.join('; ')}.`
    return new MigrateError(
      'source_unsound',
      `${from.name} does not send everything that it shows: its records make another state than it says.${beside} ` +
        `The sound records are at ${to.name} now. Name another host that has the avatar for the rest (--from).`,
    )
  }
}
