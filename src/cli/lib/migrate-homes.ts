import { messageOf } from '../../platform/errors.ts'
import type { Moved } from '../../migrate/migrate.ts'
import type { OpenMigration } from '../../migrate/run.ts'
import type { JsonValue } from '../../record/types.ts'
import { isYes } from './ask.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import type { MoveOptions } from './migrate-options.ts'
import { homesHint } from './migrate-text.ts'
import { jsonText, printable } from './text.ts'

/**
 * Lists the new host among the homes of the avatar, signed, at both hosts; or says how to, without a key.
 *
 * @returns the list that was signed, undefined where none was
 */
export async function updateHomes(
  migration: OpenMigration,
  moved: Moved,
  options: MoveOptions,
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
  // Clients that still ask the old host learn there where the avatar is stored now.
  if (moved.outcome === 'equal') {
    await from.give().catch((error: unknown) => {
      context.note(`Warning: ${options.from} did not take the list of homes: ${printable(messageOf(error))}`)
    })
  }
  return homes
}

/** Asks, if a person is at the terminal. */
async function isWanted(context: CommandContext, homes: readonly JsonValue[]): Promise<boolean> {
  if (context.stdin.isTTY !== true || !context.terminal) return true
  return await isYes(context, `List these homes of the avatar, signed? ${jsonText(homes)}`)
}
