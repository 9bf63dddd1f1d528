import type { Command } from 'commander'

import { limitNodeHeap } from '../platform/v8-flags.ts'
import { codeOf, messageOf } from '../platform/errors.ts'
import { unknownVariablesText } from '../config/environment-variables.ts'
import type { Config } from '../config/load.ts'
import type { Started } from '../node/node.ts'
import type { Logger } from '../observe/types.ts'
import type { CommandContext } from './lib/context.ts'
import { EXIT_DONE, EXIT_FAILED } from './lib/errors.ts'
import { DEFAULT_NODE_URL } from './lib/node.ts'

/** Each option is a configuration key: `--data-dir` is `data_dir`. */
const OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ['--config <file>', 'JSON file with configuration keys (or AVATAR_KV_CONFIG)'],
  ['--data-dir <dir>', 'directory for the store and the peer key (default: ./data)'],
  ['--http <host:port>', 'address of the HTTP interface (default: 127.0.0.1:4381)'],
  [
    '--http-trusted-proxies <network...>',
    'reverse proxies whose X-Forwarded-For or Forwarded names the client: IP addresses, networks, loopback, or none (default: loopback)',
  ],
  ['--http-public-url <url>', 'the URL of this node for others, shown in /v2/node (default: not stated)'],
  ['--node-name <text>', 'name of this node, shown in /v2/node (default: not stated)'],
  ['--node-contact <address>', 'mail address or https URL of the operator, shown in /v2/node (default: not stated)'],
  ['--node-policy <text>', 'whom and what this node hosts, in words, shown in /v2/node (default: not stated)'],
  [
    '--listen <multiaddr...>',
    'addresses at which other nodes can connect; with /ws at the end by WebSockets, for a TLS proxy (default: /ip4/0.0.0.0/tcp/4382)',
  ],
  [
    '--announce <multiaddr...>',
    'further addresses of this node to tell others, such as /dns/kv.example.org/tcp/443/tls/ws (default: none)',
  ],
  [
    '--store <url>',
    'a PostgreSQL database for the records, postgres://…; several nodes can share it (default: LevelDB)',
  ],
  ['--peer <multiaddr...>', 'nodes to stay connected to (default: none)'],
  ['--seed <multiaddr...>', 'nodes to ask for peers, such as /dnsaddr/seed.example.org (default: none)'],
  ['--discovery <true|false>', 'find peers, and tell peers of others; false: connect to --peer alone (default: true)'],
  ['--mdns <true|false>', 'find nodes on the local network, and be found there (default: true)'],
  ['--upnp <true|false>', 'ask the router at home to forward the port, by UPnP or NAT-PMP (default: false)'],
  ['--network <name>', 'name of the network (default: main)'],
  ['--gossip <true|false>', 'send new records to peers at once, not only at the next sync (default: true)'],
  ['--sync-interval-seconds <seconds>', 'time between two comparisons with a peer (default: 30)'],
  ['--hosting-mode <all|listed>', 'store all avatars, or only those on the list (default: all)'],
  [
    '--hosting-policy <open|invite|closed>',
    'which owners can put their avatar on the list: all, those with a code, or none (default: closed)',
  ],
  ['--hosting-policy-command <word...>', 'program, and its arguments, that decides on new avatars (default: none)'],
  [
    '--hosting-pull-private <true|false>',
    'fetch an avatar even from a private address, if its owner names one (default: false)',
  ],
  ['--hosting-links <number>', 'in the mode listed: avatars to host that each listed one links to (default: 16)'],
  ['--archive <true|false>', 'also store records that a snapshot has replaced (default: false)'],
  ['--archive-erased <true|false>', 'with --archive true: keep the history of erased avatars, too (default: false)'],
  ['--cache-bytes <bytes>', 'memory for caches; more makes a server with many avatars faster (default: 50331648)'],
  ['--quota-avatar-bytes <bytes>', 'most bytes of one avatar; 0: no limit (default: 1073741824)'],
  ['--quota-avatar-records <records>', 'most records of one avatar; 0: no limit (default: 1000000)'],
  [
    '--quota-total-bytes <bytes|auto>',
    'most bytes of all avatars together; 0: no limit; auto: a share of the free disk (default: auto)',
  ],
  ['--quota-total-records <records>', 'most records of all avatars together; 0: no limit (default: 0)'],
  [
    '--disk-new-avatars-percent <percent>',
    'take no new avatars while less of the disk is free; 0: never (default: 10)',
  ],
  ['--disk-writes-percent <percent>', 'take no records while less of the disk is free; 0: never (default: 5)'],
  ['--log-level <level>', 'fatal, error, warn, info, debug, trace or silent (default: info)'],
  ['--log-format <format>', 'json, pretty, or auto: pretty on a terminal (default: auto)'],
]

/** `start`. */
export function addStart(program: Command, context: CommandContext): void {
  const start = program
    .command('start')
    .summary('run a node')
    .description(
      'Runs a node until you stop it with Ctrl-C (SIGINT) or SIGTERM. It then saves its work and ends within 5 s. A second ' +
        'signal ends it at once.',
    )
  for (const [flags, description] of OPTIONS) start.option(flags, description)
  start
    .addHelpText(
      'after',
      `
You can also set each option in the configuration file or as an environment variable: --data-dir is data_dir in the file and
AVATAR_KV_DATA_DIR, --peer is peers and AVATAR_KV_PEERS (with commas between addresses). An option overrides the variable,
the variable overrides the file, and the file overrides the default.

Examples:
  $ avatar-kv start
  $ avatar-kv start --data-dir /var/lib/avatar-kv --http 0.0.0.0:4381
  $ avatar-kv start --data-dir b --http 127.0.0.1:4391 --listen /ip4/127.0.0.1/tcp/4392 \\
      --peer /ip4/127.0.0.1/tcp/4382/p2p/12D3Koo…`,
    )
    .action(async (options: Readonly<Record<string, string | string[]>>) => {
      // Loaded here, so that other commands start without libp2p.
      const [{ loadConfig }, { createLogger }] = await Promise.all([
        import('../config/load.ts'),
        import('../observe/logger.ts'),
      ])
      const flags = Object.fromEntries(Object.entries(options).map(([name, value]) => [keyOf(name), value]))
      const config = loadConfig({ flags, env: context.env, cwd: context.cwd })
      const pretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && context.terminal)
      const logger = createLogger({ level: config.logLevel, pretty })
      const unknown = unknownVariablesText(context.env)
      if (unknown !== undefined) logger.warn(unknown)
      const clean = await runUntilSignal(config, logger, context, pretty).catch((error: unknown) => {
        // One line on standard error, in the form of the log: a program that collects JSON lines can read it.
        if (pretty) throw error
        createLogger({ level: 'fatal', pretty }, { write: (line) => context.note(line.trimEnd()) }).fatal(
          { code: codeOf(error) },
          messageOf(error),
        )
        process.exit(EXIT_FAILED)
      })
      // A connection that did not close in time must not keep the process alive.
      process.exit(clean ? EXIT_DONE : EXIT_FAILED)
    })
}

/** The configuration key of an option that commander calls `dataDir`. */
function keyOf(name: string): string {
  return name === 'peer' || name === 'seed'
    ? `${name}s`
    : name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** What a person who has just started a node does next. */
function nextSteps({ url, avatars }: Started, { command }: CommandContext): string {
  const lines = [`The node runs. Open ${url} in a browser; stop it with Ctrl-C.`]
  if (avatars === 0) {
    const node = url === `${DEFAULT_NODE_URL}/` ? '' : ` --node ${url}`
    lines.push(
      'It stores nothing yet. To write, open another terminal, make a key and sign a first patch:',
      `  ${command} key create`,
      `  ${command} put '{"greeting":"hello"}'${node}`,
    )
  }
  return lines.join('\n')
}

/** Runs a node until a signal stops it. Resolves with whether everything was written to disk. */
async function runUntilSignal(
  config: Config,
  logger: Logger,
  context: CommandContext,
  pretty: boolean,
): Promise<boolean> {
  const { environment } = context
  const signal = onStopSignal(logger)
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'unexpected error; the node stops')
    process.exit(EXIT_FAILED)
  })
  // Otherwise Node.js would end the node for everybody, because of one rejection in a connection to a stranger.
  process.on('unhandledRejection', (reason) => logger.error({ err: reason }, 'unhandled rejection'))

  limitNodeHeap()
  const { createNode } = await import('../node/node.ts')
  const node = await createNode(config, { environment, logger })
  const started = await node.start()
  if (pretty) context.out(nextSteps(started, context))
  logger.info({ signal: await signal }, 'stopping')
  const clean = await node.stop()
  logger.info({ clean }, 'stopped')
  return clean
}

/** Resolves at the first SIGTERM or SIGINT; the second ends the process at once. */
function onStopSignal(logger: Logger): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let seen = false
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        if (seen) {
          logger.warn({ signal: name }, 'second signal; ending at once')
          process.exit(EXIT_FAILED)
        }
        seen = true
        resolve(name)
      })
    }
  })
}
