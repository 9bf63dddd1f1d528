import { randomUUID } from 'node:crypto'

import type { Clock } from '../platform/environment.ts'
import { HOMES_KEY, normalHome } from '../homes/homes.ts'
import { buildPatch } from '../record/build.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import { signRecord } from '../record/sign.ts'
import type { JsonValue } from '../record/types.ts'
import { cellValue } from '../state/cell.ts'
import { MigrateError } from './errors.ts'
import type { Staging } from './staging.ts'

/**
 * The avatar's homes after a change, from what is staged; undefined if nothing changes. Entries that are not homes stay as they
 * are.
 *
 * @param change.add the host to list, first
 */
export async function changedHomes(
  staging: Staging,
  { add, remove }: { readonly add: string; readonly remove?: string },
): Promise<JsonValue[] | undefined> {
  const { reader, avatar } = staging
  const member = await reader.member(avatar, { platform: OWN_PLATFORM, identity: avatar }, HOMES_KEY)
  const listed = member ? cellValue(member) : undefined
  const before = Array.isArray(listed) ? listed : []
  const kept = before.filter((home) => remove === undefined || nameOf(home) !== nameOf(remove))
  const isListed = kept.some((home) => nameOf(home) === nameOf(add))
  if (isListed && kept.length === before.length) return undefined
  return isListed ? kept : [normalHome(add) ?? add, ...kept]
}

function nameOf(home: JsonValue): JsonValue {
  return typeof home === 'string' ? (normalHome(home) ?? home) : home
}

/**
 * Signs new homes on top of everything that is staged, and stages the record.
 *
 * @throws MigrateError `failed` if it cannot be written; RecordError `wrong_secret_key`
 */
export async function signHomes(
  staging: Staging,
  clock: Clock,
  secretKey: Uint8Array,
  homes: readonly JsonValue[],
): Promise<void> {
  const { avatar, network, ingest } = staging
  const body = buildPatch({
    avatar,
    network,
    platform: OWN_PLATFORM,
    identity: avatar,
    patch: { [HOMES_KEY]: [...homes] },
    prev: (await staging.avatarStatus())?.tips ?? [],
    createdAt: Math.floor(clock.now() / 1_000),
    uuid: randomUUID(),
  })
  const [result] = await ingest.submit([signRecord(body, secretKey)], { origin: 'import' })
  if (result?.status === 'stored') return
  const why = [result?.code ?? result?.status, result?.message].filter((part) => part !== undefined).join(': ')
  throw new MigrateError('failed', `The list of homes could not be written: ${why}`)
}
