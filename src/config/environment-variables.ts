import { nearestName } from './nearest.ts'
import { defaultConfigText } from './package-files.ts'

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>

/** The environment variables of this process. No other code reads `process.env`. */
export function environmentVariables(): EnvironmentVariables {
  return process.env
}

export const VARIABLE_PREFIX = 'AVATAR_KV_'
/** Names the configuration file, as `--config` does. */
export const CONFIG_VARIABLE = `${VARIABLE_PREFIX}CONFIG`
/** Names the node that client commands talk to, as `--node` does. */
export const NODE_VARIABLE = `${VARIABLE_PREFIX}NODE`

/** The environment variable of a configuration key: `data_dir` is `AVATAR_KV_DATA_DIR`. Lists are separated by commas. */
export function variableOf(key: string): string {
  return `${VARIABLE_PREFIX}${key.toUpperCase()}`
}

/**
 * Variables that Kubernetes sets in a container for each Service of its namespace ("Discovering services", environment
 * variables). Those of a Service named `avatar-kv`, or `avatar-kv-…`, have our prefix.
 */
const SERVICE_VARIABLE =
  /^AVATAR_KV_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/
/** Most names in the line; further ones are only counted. */
const MAX_NAMED = 8
const MAX_NAME_CHARACTERS = 60

/**
 * One line about variables with our prefix that this version does not know; undefined if there are none. They never stop a
 * command: platforms set variables with the prefix, too, and newer versions know more.
 */
export function unknownVariablesText(env: EnvironmentVariables): string | undefined {
  const candidates = Object.keys(env).filter((name) => name.startsWith(VARIABLE_PREFIX))
  if (candidates.length === 0) return undefined
  const keys = Object.keys(JSON.parse(defaultConfigText()) as object)
  const known = [...keys.map(variableOf), CONFIG_VARIABLE, NODE_VARIABLE]
  // Without the prefix: with it any two names would be similar.
  const suffixes = known.map((name) => name.slice(VARIABLE_PREFIX.length))
  const unknown = candidates.filter((name) => !known.includes(name))
  if (unknown.length === 0) return undefined
  const named = unknown.slice(0, MAX_NAMED).map((name) => {
    const meant = SERVICE_VARIABLE.test(name) ? undefined : nearestName(name.slice(VARIABLE_PREFIX.length), suffixes)
    const shown = name.length > MAX_NAME_CHARACTERS ? `${name.slice(0, MAX_NAME_CHARACTERS)}…` : name
    return meant === undefined ? shown : `${shown} (did you mean ${VARIABLE_PREFIX}${meant}?)`
  })
  const more = unknown.length > MAX_NAMED ? `, and ${unknown.length - MAX_NAMED} more` : ''
  const advice = unknown.some((name) => SERVICE_VARIABLE.test(name))
    ? 'Kubernetes sets them for a Service named avatar-kv. To avoid them, set enableServiceLinks: false in the pod.'
    : 'Correct or unset them. README lists the known variables.'
  return `Ignored unknown environment variables: ${named.join(', ')}${more}. ${advice}`
}
