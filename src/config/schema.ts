import Type from 'typebox'
import type { Static } from 'typebox'

/** Longest value that a configuration text may have, in characters; PATH_MAX of Linux is 4,096 bytes. */
const MAX_TEXT_LENGTH = 4096
/** More listen addresses than any host needs; guards against a file pasted into the wrong key. */
const MAX_LISTEN_ADDRESSES = 16
/** Networks of content delivery services come in lists of some dozens. */
const MAX_TRUSTED_PROXIES = 256
/** Each configured peer is dialled for ever, so a list is kept to what one node can hold connections to. */
const MAX_PEERS = 256

/** Below a second two nodes would do little else; above an hour a reader would wait too long for what gossip lost. */
const SYNC_INTERVAL_SECONDS = { minimum: 1, maximum: 3600 }

/** Bytes or records that a node keeps at most. */
const quota = (of: string, unit: string) =>
  Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: `how many ${unit} ${of} may take here, a whole number; 0 is no limit`,
  })

const text = { minLength: 1, maxLength: MAX_TEXT_LENGTH }

/**
 * Every configuration key. A description says what is expected and follows "expected" in an error message.
 *
 * `http` defaults to loopback: version 1 of the API lets a node choose what its clients sign, so it is opened to others
 * on purpose, behind TLS. `http_trusted_proxies` defaults to this machine, where the reverse proxy usually runs: a node that
 * trusted other addresses would let any client claim any address. `listen` defaults to all interfaces: other nodes must be
 * able to dial this one, and every record that they send is verified. `gossip` can be switched off where bandwidth is dear,
 * and by tests: records then travel by sync alone, and arrive later. `hosting_policy` defaults to closed: no owner makes this
 * node fetch from an address unless the operator wants that. `hosting_pull_private` defaults to false: the node fetches from
 * no address in the operator's own network.
 *
 * `archive` defaults to false, so that a snapshot makes room. The quota of an avatar defaults to a gibibyte and a million
 * records: more than the largest state there can be (3,500 parts of 256 KiB), so that nobody needs a larger one, and
 * nobody fills a disk with one key. There is none for all avatars together: only the operator knows the disk.
 */
export const configSchema = Type.Object(
  {
    data_dir: Type.String({ ...text, description: 'a directory for the store and the peer key' }),
    http: Type.String({
      ...text,
      description: 'HOST:PORT, such as 127.0.0.1:4381 or [::1]:4381; port 0 takes any free one',
    }),
    http_trusted_proxies: Type.Array(Type.String(text), {
      minItems: 1,
      maxItems: MAX_TRUSTED_PROXIES,
      description: `up to ${MAX_TRUSTED_PROXIES} IP addresses or networks, such as 10.0.0.0/8, the word loopback, or none alone`,
    }),
    listen: Type.Array(Type.String(text), {
      maxItems: MAX_LISTEN_ADDRESSES,
      description: `up to ${MAX_LISTEN_ADDRESSES} TCP multiaddrs to listen on, such as /ip4/0.0.0.0/tcp/4382`,
    }),
    peers: Type.Array(Type.String(text), {
      maxItems: MAX_PEERS,
      description: `up to ${MAX_PEERS} TCP multiaddrs to keep connected to, such as /ip4/192.0.2.7/tcp/4382/p2p/12D3Koo…`,
    }),
    network: Type.String({ pattern: '^[a-z0-9-]{1,32}$', description: '1 to 32 of the characters a-z, 0-9 and -' }),
    gossip: Type.Boolean({ description: 'true or false' }),
    sync_interval_seconds: Type.Integer({
      ...SYNC_INTERVAL_SECONDS,
      description: `whole seconds from ${SYNC_INTERVAL_SECONDS.minimum} to ${SYNC_INTERVAL_SECONDS.maximum}`,
    }),
    hosting_mode: Type.Enum(['all', 'listed'], { description: 'all or listed' }),
    hosting_policy: Type.Enum(['open', 'invite', 'closed'], { description: 'open, invite or closed' }),
    hosting_pull_private: Type.Boolean({ description: 'true or false' }),
    archive: Type.Boolean({ description: 'true or false' }),
    quota_avatar_bytes: quota('an avatar', 'bytes'),
    quota_avatar_records: quota('an avatar', 'records'),
    quota_total_bytes: quota('all avatars together', 'bytes'),
    quota_total_records: quota('all avatars together', 'records'),
    log_level: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      description: 'fatal, error, warn, info, debug, trace or silent',
    }),
    log_format: Type.Enum(['auto', 'json', 'pretty'], {
      description: 'json, pretty, or auto (pretty on a terminal, else json)',
    }),
  },
  { additionalProperties: false },
)

/** The configuration as it is written: in `config/default.json`, in a file, in variables, as flags. */
export type ConfigValues = Static<typeof configSchema>
export type ConfigKey = keyof ConfigValues

export const CONFIG_KEYS = Object.keys(configSchema.properties) as ConfigKey[]
