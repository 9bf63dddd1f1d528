import { messageOf } from '../../platform/errors.ts'
import type { Moved } from '../../migrate/migrate.ts'
import type { OpenMigration } from '../../migrate/run.ts'
import type { JsonValue } from '../../record/types.ts'
import { askLine } from './ask.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { homesHint } from './migrate-text.ts'
import { jsonText, printable } from './text.ts'

export interface HomesOptions {
  readonly from: string
  readonly to: string
  readonly updateHomes?: true
  readonly home?: string
  readonly leaveOld?: true
}

/**
 * Lists the new host among the homes of the avatar, signed, at both hosts; or says how to, without a key.
 *
 * @returns the list that was signed, undefined where none was
 */
export async function updateHomes(
  migration: OpenMigration,
  moved: Moved,
  options: HomesOptions,
  context: CommandContext,
  secretKey: Uint8Array | undefined,
): Promise<JsonValue[] | undefined> {
  const { changedHomes, signHomes } = await import('../../migrate/homes-update.ts')
  const { staging, from, to, environment } = migration
  const add = options.home ?? options.to
  const homes = await changedHomes(staging, { add, ...(options.leaveOld === true ? { remove: options.from } : {}) })
  if (homes === undefined) return undefined
  if (secretKey === undefined) {
    context.note(homesHint(homes, options.to))
    return undefined
  }
  if (options.updateHomes !== true && !(await isWanted(context, homes))) return undefined
  if (moved.outcome === 'equal') await from.settled()
  await signHomes(staging, environment.clock, secretKey, homes)
  const { refused } = await to.give()
  if (refused.size > 0) {
    throw new CliError('refused', `${options.to} does not take the list of homes: ${[...refused.keys()].join(', ')}.`)
  }
  // Those who still ask the old host learn there where the avatar lives.
  if (moved.outcome === 'equal') {
    await from.give().catch((error: unknown) => {
      context.note(`Warning: ${options.from} did not take the list of homes: ${printable(messageOf(error))}`)
    })
  }
  return homes
}

/** Asks, where there is somebody to be asked. */
async function isWanted(context: CommandContext, homes: readonly JsonValue[]): Promise<boolean> {
  if (context.stdin.isTTY !== true || !context.terminal) return true
  const answer = await askLine(context, `List these homes of the avatar, signed? ${jsonText(homes)} [y/N]`)
  return /^y(es)?$/i.test(answer)
}
