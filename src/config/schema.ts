import Type from 'typebox'
import type { Static } from 'typebox'

/** Most characters of a text value; PATH_MAX of Linux is 4,096 bytes. */
const MAX_TEXT_LENGTH = 4096
/** More than any host needs. Rejects a list pasted into the wrong key. */
const MAX_LISTEN_ADDRESSES = 16
/** A peer record has room for 8 addresses of one scope (docs/protocol.md, "Peer exchange"). */
const MAX_ANNOUNCED = 8
/** Content delivery services publish lists of some dozens of networks. */
const MAX_TRUSTED_PROXIES = 256
/** The node keeps dialling each configured peer, so the list is limited to the connections that a node can hold. */
const MAX_PEERS = 256
/** A program with more settings takes a file. */
const MAX_COMMAND_WORDS = 32
/** Far more than a network needs. */
const MAX_SEEDS = 32

/** A name of a node fits on one line. */
const MAX_NODE_NAME_CHARACTERS = 64
/** RFC 5321 allows mail addresses of 254 characters. URLs of the same length fit on a line of a terminal or two. */
const MAX_CONTACT_CHARACTERS = 254
/** Some ten paragraphs. Every reader of `/v2/node` gets the whole text. */
const MAX_NODE_POLICY_CHARACTERS = 4_000

/** Below a second, nodes would do little else. Above an hour, records that gossip lost would arrive too late. */
const SYNC_INTERVAL_SECONDS = { minimum: 1, maximum: 3600 }

/** The schema of a quota. */
const quota = (of: string, unit: string) =>
  Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: `the most ${unit} that ${of} may use on this node, a whole number; 0 is no limit`,
  })

/** Below it, caches are too small for one large avatar. Above it, the caches of a node would need a larger heap than V8's default. */
const CACHE_BYTES = { minimum: 4 * 1024 * 1024, maximum: 64 * 1024 ** 3 }

/** The schema of a mark of free disk. */
const percent = (what: string) =>
  Type.Integer({
    minimum: 0,
    maximum: 90,
    description: `the percent of free disk, 0 to 90, below which the node takes no ${what}; 0 is never`,
  })

const text = { minLength: 1, maxLength: MAX_TEXT_LENGTH }

/**
 * Every configuration key. A description completes the text "expected …" in an error message. Reasons of the defaults:
 *
 * - `http`: loopback, because a node chooses what clients of version 1 of the API sign. The operator opens it to others
 *   explicitly, behind TLS.
 * - `http_trusted_proxies`: this machine, where a reverse proxy usually runs. A node that trusted other addresses would let any
 *   client claim any address.
 * - `listen`: all interfaces, because other nodes must be able to dial this one. Every record that they send is verified.
 * - `announce`: none: the node finds its own addresses, and peers find the one of its router. Only the operator knows of a proxy.
 * - `store`: none, so that a node needs no server besides itself.
 * - `discovery`: true, because a node that knows only one peer loses its network with that peer. Every peer that it finds is bounded as
 *   a stranger. Operators of a closed network, and tests, switch it off.
 * - `mdns`: true, so that nodes at home or in an office need no address. Only private addresses are announced, on the local link.
 * - `upnp`: false, because it opens a port of the router, which is for its owner to decide.
 * - `seeds`: none, so that no node depends on a service of the authors.
 * - `http_public_url` and `node_*`: empty, which is shown as "not stated". Only the operator knows them.
 * - `gossip`: true. Operators with little bandwidth, and tests, can switch it off; records then arrive later, by sync.
 * - `hosting_policy`: closed, so that no owner makes the node fetch from an address unless the operator allows that.
 * - `hosting_pull_private`: false, so that the node fetches from no address in the operator's own network.
 * - `hosting_links`: 16, so that the apps of an owner work on a node that lists the owner, and one list entry brings few others.
 * - `cache_bytes`: 48 MiB, so that a node runs on a small machine. A server with many avatars in use gains from more.
 * - `archive`: false, so that a snapshot frees space.
 * - `archive_erased`: false, so that an owner who erases an avatar erases its history on a node with `archive`, too.
 * - `quota_avatar_*`: 1 GiB and a million records, which is more than the largest possible state (3,500 parts of 256 KiB), so no
 *   owner needs more, and nobody fills a disk with one key.
 * - `disk_*_percent`: 10 and 5, so that strangers cannot fill the disk, and owners who have their data here can write for longer.
 * - `quota_total_bytes`: auto, a share of the disk that is free at the start.
 * - `quota_total_records`: no limit, because bytes are what fills a disk.
 */
export const configSchema = Type.Object(
  {
    data_dir: Type.String({ ...text, description: 'a directory for the store and the peer key' }),
    store: Type.String({
      maxLength: MAX_TEXT_LENGTH,
      description: 'the postgres:// URL of a database, or nothing, for LevelDB in the data directory',
    }),
    http: Type.String({
      ...text,
      description: 'HOST:PORT, such as 127.0.0.1:4381 or [::1]:4381; port 0 takes any free one',
    }),
    http_trusted_proxies: Type.Array(Type.String(text), {
      minItems: 1,
      maxItems: MAX_TRUSTED_PROXIES,
      description: `up to ${MAX_TRUSTED_PROXIES} IP addresses or networks, such as 10.0.0.0/8, the word loopback, or none alone`,
    }),
    http_public_url: Type.String({
      maxLength: MAX_CONTACT_CHARACTERS,
      description: `the http:// or https:// URL of this node for others, without query and fragment, at most ${MAX_CONTACT_CHARACTERS} characters`,
    }),
    node_name: Type.String({
      maxLength: MAX_NODE_NAME_CHARACTERS,
      description: `plain text on one line, at most ${MAX_NODE_NAME_CHARACTERS} characters`,
    }),
    node_contact: Type.String({
      maxLength: MAX_CONTACT_CHARACTERS,
      description: `a mail address or an https:// URL, at most ${MAX_CONTACT_CHARACTERS} characters`,
    }),
    node_policy: Type.String({
      maxLength: MAX_NODE_POLICY_CHARACTERS,
      description: `plain text of one or more lines, at most ${MAX_NODE_POLICY_CHARACTERS} characters`,
    }),
    listen: Type.Array(Type.String(text), {
      maxItems: MAX_LISTEN_ADDRESSES,
      description: `up to ${MAX_LISTEN_ADDRESSES} TCP multiaddrs to listen on, such as /ip4/0.0.0.0/tcp/4382`,
    }),
    announce: Type.Array(Type.String(text), {
      maxItems: MAX_ANNOUNCED,
      description: `up to ${MAX_ANNOUNCED} TCP multiaddrs at which others can dial this node, such as /dns/kv.example.org/tcp/443/tls/ws`,
    }),
    peers: Type.Array(Type.String(text), {
      maxItems: MAX_PEERS,
      description: `up to ${MAX_PEERS} TCP multiaddrs to keep connected to, such as /ip4/192.0.2.7/tcp/4382/p2p/12D3Koo…`,
    }),
    seeds: Type.Array(Type.String(text), {
      maxItems: MAX_SEEDS,
      description: `up to ${MAX_SEEDS} nodes to ask for peers, such as /dnsaddr/seed.example.org or /ip4/192.0.2.7/tcp/4382`,
    }),
    discovery: Type.Boolean({ description: 'true or false' }),
    mdns: Type.Boolean({ description: 'true or false' }),
    upnp: Type.Boolean({ description: 'true or false' }),
    network: Type.String({ pattern: '^[a-z0-9-]{1,32}$', description: '1 to 32 of the characters a-z, 0-9 and -' }),
    gossip: Type.Boolean({ description: 'true or false' }),
    sync_interval_seconds: Type.Integer({
      ...SYNC_INTERVAL_SECONDS,
      description: `whole seconds from ${SYNC_INTERVAL_SECONDS.minimum} to ${SYNC_INTERVAL_SECONDS.maximum}`,
    }),
    hosting_mode: Type.Enum(['all', 'listed'], { description: 'all or listed' }),
    hosting_policy: Type.Enum(['open', 'invite', 'closed'], { description: 'open, invite or closed' }),
    hosting_policy_command: Type.Array(Type.String(text), {
      maxItems: MAX_COMMAND_WORDS,
      description: `a program and its arguments, at most ${MAX_COMMAND_WORDS} words, which no shell reads`,
    }),
    hosting_pull_private: Type.Boolean({ description: 'true or false' }),
    hosting_links: Type.Integer({ minimum: 0, maximum: 64, description: 'a whole number from 0 to 64' }),
    archive: Type.Boolean({ description: 'true or false' }),
    archive_erased: Type.Boolean({ description: 'true or false' }),
    cache_bytes: Type.Integer({
      ...CACHE_BYTES,
      description: `whole bytes from ${CACHE_BYTES.minimum} (4 MiB) to ${CACHE_BYTES.maximum} (64 GiB)`,
    }),
    quota_avatar_bytes: quota('an avatar', 'bytes'),
    quota_avatar_records: quota('an avatar', 'records'),
    disk_new_avatars_percent: percent('new avatars'),
    disk_writes_percent: percent('records'),
    quota_total_bytes: Type.Union([quota('all avatars together', 'bytes'), Type.Literal('auto')], {
      description:
        'auto, which is a share of the free disk, or the most bytes of all avatars together, a whole number; 0 is no limit',
    }),
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

/** The configuration as written in `config/default.json`, in a file, in variables and in flags. */
export type ConfigValues = Static<typeof configSchema>
export type ConfigKey = keyof ConfigValues

export const CONFIG_KEYS = Object.keys(configSchema.properties) as ConfigKey[]
