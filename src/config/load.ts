import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Errors } from 'typebox/value'

import { networkProblem } from '../shares/networks.ts'
import { JsonTextError } from '../record/errors.ts'
import { parseExactJson } from '../record/exact-json.ts'
import { fileProblem } from '../platform/files.ts'
import { decodeText } from '../platform/decode-text.ts'
import { multiaddrProblem, parseHostPort, type HostPort } from './addresses.ts'
import { CONFIG_VARIABLE, variableOf, type EnvironmentVariables } from './environment-variables.ts'
import { ConfigError } from './errors.ts'
import { nearestName } from './nearest.ts'
import { contactProblem, databaseUrlProblem, nameProblem, policyProblem, publicUrlProblem } from './node-texts.ts'
import { defaultConfigText } from './package-files.ts'
import { CONFIG_KEYS, configSchema, type ConfigKey, type ConfigValues } from './schema.ts'

/** The validated configuration. */
export interface Config {
  /** Absolute path. */
  readonly dataDir: string
  /** URL of a PostgreSQL database, which may contain a password; empty for LevelDB in the data directory. */
  readonly store: string
  readonly http: HostPort
  /** IP addresses, networks, `loopback`, or `none` alone. */
  readonly httpTrustedProxies: readonly string[]
  /** URL of this node for others; empty if not stated. */
  readonly httpPublicUrl: string
  /** What the operator says about the node; each is empty if not stated. */
  readonly node: { readonly name: string; readonly contact: string; readonly policy: string }
  /** Multiaddrs. */
  readonly listen: readonly string[]
  /** Multiaddrs to tell others, besides those that the node finds. */
  readonly announce: readonly string[]
  /** Multiaddrs. */
  readonly peers: readonly string[]
  /** Multiaddrs of nodes to ask for peers, `/dnsaddr/…` included. */
  readonly seeds: readonly string[]
  /** Whether the node finds peers by itself. */
  readonly discovery: boolean
  /** Whether that includes the local network. */
  readonly mdns: boolean
  /** Whether the router is asked to forward the TCP port. */
  readonly upnp: boolean
  readonly network: string
  /** Whether records are also forwarded on arrival, not by sync alone. */
  readonly gossip: boolean
  /** Approximate time between two reconciliations with a peer. */
  readonly syncIntervalSeconds: number
  /** Whether the node hosts all avatars, or only those on the list. */
  readonly hostingMode: ConfigValues['hosting_mode']
  /** Which owners can put their avatars on the list. */
  readonly hostingPolicy: ConfigValues['hosting_policy']
  /** The program that decides on new avatars, and its arguments; empty if none does. */
  readonly hostingPolicyCommand: readonly string[]
  /** Whether the node may fetch records from private and other special addresses that an owner names. */
  readonly hostingPullPrivate: boolean
  readonly hostingLinks: number
  /** Whether to keep superseded records. */
  readonly archive: boolean
  /** With `archive`: whether to keep the history of erased avatars, too. */
  readonly archiveErased: boolean
  readonly caches: { readonly storeBytes: number; readonly answersBytes: number }
  /** 0 means no limit. */
  readonly quotas: {
    readonly avatarBytes: number
    readonly avatarRecords: number
    readonly totalBytes: number
    readonly totalRecords: number
  }
  /** Whether `quotas.totalBytes` is to be set from the free disk. */
  readonly isTotalQuotaAuto: boolean
  /** Percent of free disk below which the node takes no new avatars, and no records; 0 means never. */
  readonly disk: { readonly newAvatarsPercent: number; readonly writesPercent: number }
  readonly logLevel: ConfigValues['log_level']
  readonly logFormat: ConfigValues['log_format']
  /** Keys that a flag, a variable or a file sets. The others have their values of `config/default.json`. */
  readonly said: ReadonlySet<ConfigKey>
}

export interface ConfigSources {
  /** Command line flags by key; `config` names a file. Undefined keys were not given. */
  readonly flags: { readonly [key in ConfigKey | 'config']?: string | readonly string[] | undefined }
  readonly env: EnvironmentVariables
  /** Base of relative paths. */
  readonly cwd: string
}

/** A value and its source, for error messages. */
interface Sourced {
  readonly value: unknown
  readonly source: string
}

/** Checks of single texts that the schema cannot express. */
const TEXT_PROBLEMS = {
  store: databaseUrlProblem,
  http_public_url: publicUrlProblem,
  node_name: nameProblem,
  node_contact: contactProblem,
  node_policy: policyProblem,
} as const satisfies { readonly [key in ConfigKey]?: (text: string) => string | undefined }

const DEFAULTS_FILE = 'config/default.json'

/** Most characters of a value in an error message: a user may have passed a whole file by mistake. */
const MAX_SHOWN_CHARACTERS = 200

/**
 * Loads the configuration. The sources by precedence: flags, environment variables, the file named by `--config` or
 * `AVATAR_KV_CONFIG`, `config/default.json`. Empty and unknown variables are ignored (`unknownVariablesText` reports the
 * latter).
 *
 * @throws ConfigError for an unknown key, an invalid value, or an unreadable file
 */
export function loadConfig({ flags, env, cwd }: ConfigSources): Config {
  const values = new Map<string, Sourced>()
  const take = (entries: Iterable<[string, unknown]>, source: (key: string) => string): void => {
    for (const [key, value] of entries) {
      if (!isConfigKey(key)) {
        const nearest = nearestName(key, CONFIG_KEYS)
        const advice = nearest === undefined ? `Known keys: ${CONFIG_KEYS.join(', ')}.` : `Did you mean "${nearest}"?`
        throw new ConfigError('unknown_key', `Unknown configuration key ${show(key)} in ${source(key)}. ${advice}`)
      }
      values.set(key, { value, source: source(key) })
    }
  }

  take(Object.entries(parseObject(defaultConfigText(), DEFAULTS_FILE)), () => DEFAULTS_FILE)
  const file = flags.config ?? (env[CONFIG_VARIABLE] || undefined)
  if (typeof file === 'string') {
    const path = resolve(cwd, file)
    take(Object.entries(parseObject(readText(path), path)), () => path)
  }
  take(fromVariables(env), (key) => `the environment variable ${variableOf(key)}`)
  take(
    Object.entries(flags).flatMap(([key, value]) =>
      key === 'config' || value === undefined ? [] : [[key, valueOf(key, value)]],
    ),
    (key) => `the command line (--${FLAG_OF[key] ?? key.replaceAll('_', '-')})`,
  )
  return check(values, cwd)
}

/** Flags that are given once for each item have the name of one. */
const FLAG_OF: Readonly<Record<string, string>> = { peers: 'peer', seeds: 'seed' }

function isConfigKey(key: string): key is ConfigKey {
  return (CONFIG_KEYS as string[]).includes(key)
}

/**
 * Converts the text of a variable or a flag to the type of its key. Returns a text that has another form unchanged; the schema
 * rejects it. Integers have at most 16 digits here, so that those that a double cannot hold are rejected, not rounded.
 */
function valueOf(key: string, given: string | readonly string[]): unknown {
  const schema = (configSchema.properties as Record<string, { readonly type?: string; readonly anyOf?: unknown[] }>)[
    key
  ]
  // Of the keys, only one that takes a whole number or a word has alternatives.
  const type = schema?.anyOf === undefined ? schema?.type : 'integer'
  if (typeof given !== 'string') return given
  if (type === 'array') return given.split(',').map((item) => item.trim())
  if (type === 'boolean' && /^(true|false)$/.test(given)) return given === 'true'
  return type === 'integer' && /^\d{1,16}$/.test(given) ? Number(given) : given
}

function readText(path: string): string {
  try {
    return decodeText(readFileSync(path))
  } catch (error) {
    throw new ConfigError(
      'unreadable_file',
      `Cannot read the configuration file ${path}: ${fileProblem(error)}. Name another file with --config FILE.`,
    )
  }
}

function parseObject(text: string, source: string): object {
  let value: unknown
  try {
    value = parseExactJson(text)
  } catch (error) {
    const isLoss = error instanceof JsonTextError && error.code !== 'invalid_json'
    if (isLoss) throw new ConfigError('bad_file', `Cannot use the configuration file ${source}: ${error.message}`)
    throw new ConfigError(
      'bad_file',
      `The configuration file ${source} is not JSON: ${String((error as Error).message).replaceAll('\n', ' ')}. Correct the file.`,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(
      'bad_file',
      `The configuration file ${source} must hold one JSON object, such as {"network":"main"}.`,
    )
  }
  return value
}

function fromVariables(env: EnvironmentVariables): [string, unknown][] {
  return CONFIG_KEYS.flatMap((key): [string, unknown][] => {
    const text = env[variableOf(key)]
    if (text === undefined || text === '') return []
    return [[key, valueOf(key, text)]]
  })
}

function check(values: ReadonlyMap<string, Sourced>, cwd: string): Config {
  const plain = Object.fromEntries([...values].map(([key, { value }]) => [key, value]))
  const refuse = (key: string, value: unknown, problem?: string): never => {
    const expected =
      (configSchema.properties as Record<string, { description?: string }>)[key]?.description ?? 'a value'
    const why = problem === undefined ? '' : ` (${problem})`
    const source = values.get(key)?.source ?? DEFAULTS_FILE
    throw new ConfigError(
      'bad_value',
      `Configuration key "${key}": ${show(key === 'store' ? withoutPassword(value) : value)} from ${source} is invalid${why}; expected ${expected}.`,
    )
  }

  for (const error of Errors(configSchema, plain)) {
    const key = error.instancePath.split('/')[1] ?? ''
    refuse(key, plain[key])
  }
  const checked = plain as ConfigValues
  for (const text of checked.http_trusted_proxies) {
    const problem = networkProblem(text, checked.http_trusted_proxies)
    if (problem !== undefined) refuse('http_trusted_proxies', text, problem)
  }
  for (const [key, problemOf] of Object.entries(TEXT_PROBLEMS)) {
    const text = checked[key as keyof typeof TEXT_PROBLEMS]
    const problem = problemOf(text)
    if (problem !== undefined) refuse(key, text, problem)
  }
  for (const key of ['listen', 'announce', 'peers', 'seeds'] as const) {
    for (const address of checked[key]) {
      if (key === 'seeds' && address.startsWith('/dnsaddr/')) continue
      const problem = multiaddrProblem(address)
      if (problem !== undefined) refuse(key, address, problem)
    }
  }
  if (!checked.discovery && checked.seeds.length > 0) {
    refuse('seeds', checked.seeds, 'a node asks seeds only with discovery true')
  }
  return {
    dataDir: resolve(cwd, checked.data_dir),
    store: checked.store,
    http: parseHostPort(checked.http) ?? refuse('http', checked.http),
    httpTrustedProxies: checked.http_trusted_proxies,
    httpPublicUrl: checked.http_public_url,
    node: { name: checked.node_name, contact: checked.node_contact, policy: checked.node_policy },
    listen: checked.listen,
    announce: checked.announce,
    peers: checked.peers,
    seeds: checked.seeds,
    discovery: checked.discovery,
    mdns: checked.mdns,
    upnp: checked.upnp,
    network: checked.network,
    gossip: checked.gossip,
    syncIntervalSeconds: checked.sync_interval_seconds,
    hostingMode: checked.hosting_mode,
    hostingPolicy: checked.hosting_policy,
    hostingPolicyCommand: checked.hosting_policy_command,
    hostingPullPrivate: checked.hosting_pull_private,
    hostingLinks: checked.hosting_links,
    archive: checked.archive,
    archiveErased: checked.archive_erased,
    caches: cacheShares(checked.cache_bytes),
    quotas: {
      avatarBytes: checked.quota_avatar_bytes,
      avatarRecords: checked.quota_avatar_records,
      totalBytes: checked.quota_total_bytes === 'auto' ? 0 : checked.quota_total_bytes,
      totalRecords: checked.quota_total_records,
    },
    isTotalQuotaAuto: checked.quota_total_bytes === 'auto',
    disk: { newAvatarsPercent: checked.disk_new_avatars_percent, writesPercent: checked.disk_writes_percent },
    logLevel: checked.log_level,
    logFormat: checked.log_format,
    said: new Set(CONFIG_KEYS.filter((key) => values.get(key)?.source !== DEFAULTS_FILE)),
  }
}

/** The URL of a database for an error message. */
function withoutPassword(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/\/\/.*@/s, '//…@').replace(/(password=)[^&]*/gi, '$1…') : value
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text
}

/** The store caches avatars and blocks of the database, HTTP caches answers: a third each. */
function cacheShares(bytes: number): Config['caches'] {
  const answersBytes = Math.floor(bytes / 3)
  return { storeBytes: bytes - answersBytes, answersBytes }
}
