import type { Command } from 'commander'

import { codeOf, messageOf } from '../platform/errors.ts'
import { unknownVariablesText } from '../config/environment-variables.ts'
import type { Config } from '../config/load.ts'
import type { Started } from '../node/node.ts'
import type { Logger } from '../observe/types.ts'
import type { CommandContext } from './lib/context.ts'
import { EXIT_DONE, EXIT_FAILED } from './lib/errors.ts'
import { DEFAULT_NODE_URL } from './lib/node.ts'

interface StartOptions {
  readonly config?: string
  readonly dataDir?: string
  readonly http?: string
  readonly httpTrustedProxies?: string[]
  readonly listen?: string[]
  readonly peer?: string[]
  readonly network?: string
  readonly gossip?: string
  readonly syncIntervalSeconds?: string
  readonly hostingMode?: string
  readonly hostingPolicy?: string
  readonly hostingPullPrivate?: string
  readonly archive?: string
  readonly quotaAvatarBytes?: string
  readonly quotaAvatarRecords?: string
  readonly quotaTotalBytes?: string
  readonly quotaTotalRecords?: string
  readonly logLevel?: string
  readonly logFormat?: string
}

/** `start`. */
export function addStart(program: Command, context: CommandContext): void {
  program
    .command('start')
    .summary('run a node')
    .description(
      'Runs a node until SIGTERM or SIGINT (Ctrl-C), which stop it cleanly within 5 s; a second one ends it at once.',
    )
    .option('--config <file>', 'JSON file with configuration keys (or AVATAR_KV_CONFIG)')
    .option('--data-dir <dir>', 'directory for the store and the peer key (default: ./data)')
    .option('--http <host:port>', 'address of the HTTP interface (default: 127.0.0.1:4381)')
    .option(
      '--http-trusted-proxies <network...>',
      'reverse proxies whose X-Forwarded-For or Forwarded names the client: IP addresses, networks, loopback, or none (default: loopback)',
    )
    .option('--listen <multiaddr...>', 'where other nodes can connect (default: /ip4/0.0.0.0/tcp/4382)')
    .option('--peer <multiaddr...>', 'nodes to stay connected to (default: none)')
    .option('--network <name>', 'name of the network (default: main)')
    .option(
      '--gossip <true|false>',
      'whether records are passed on as they come, and not by sync alone (default: true)',
    )
    .option('--sync-interval-seconds <seconds>', 'time between two comparisons with a peer (default: 30)')
    .option('--hosting-mode <all|listed>', 'whether all avatars are kept, or those on the list alone (default: all)')
    .option(
      '--hosting-policy <open|invite|closed>',
      'who is put on the list when its owner asks: all, who shows a code, or nobody (default: closed)',
    )
    .option(
      '--hosting-pull-private <true|false>',
      'whether an avatar may be fetched from a private address that its owner names (default: false)',
    )
    .option('--archive <true|false>', 'whether records that a snapshot has replaced are kept (default: false)')
    .option('--quota-avatar-bytes <bytes>', 'most that an avatar may take; 0: no limit (default: 1073741824)')
    .option('--quota-avatar-records <records>', 'the same in records (default: 1000000)')
    .option('--quota-total-bytes <bytes>', 'most that all avatars together may take; 0: no limit (default: 0)')
    .option('--quota-total-records <records>', 'the same in records (default: 0)')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent (default: info)')
    .option('--log-format <format>', 'json, pretty, or auto: pretty on a terminal (default: auto)')
    .addHelpText(
      'after',
      `
Every option is also a configuration key and an environment variable: --data-dir is data_dir and AVATAR_KV_DATA_DIR,
--peer is peers and AVATAR_KV_PEERS (with commas). Options come first, then variables, then the file, then the defaults.

Examples:
  $ avatar-kv start
  $ avatar-kv start --data-dir /var/lib/avatar-kv --http 0.0.0.0:4381
  $ avatar-kv start --data-dir b --http 127.0.0.1:4391 --listen /ip4/127.0.0.1/tcp/4392 \\
      --peer /ip4/127.0.0.1/tcp/4382/p2p/12D3Koo…`,
    )
    .action(async (options: StartOptions) => {
      // Loaded here, so that other commands start without libp2p and what comes with it.
      const [{ loadConfig }, { createLogger }] = await Promise.all([
        import('../config/load.ts'),
        import('../observe/logger.ts'),
      ])
      const { config: file, dataDir, http, listen, peer, network, gossip, logLevel, logFormat } = options
      const config = loadConfig({
        flags: {
          config: file,
          data_dir: dataDir,
          http,
          http_trusted_proxies: options.httpTrustedProxies,
          listen,
          peers: peer,
          network,
          gossip,
          sync_interval_seconds: options.syncIntervalSeconds,
          archive: options.archive,
          quota_avatar_bytes: options.quotaAvatarBytes,
          quota_avatar_records: options.quotaAvatarRecords,
          quota_total_bytes: options.quotaTotalBytes,
          quota_total_records: options.quotaTotalRecords,
          hosting_mode: options.hostingMode,
          hosting_policy: options.hostingPolicy,
          hosting_pull_private: options.hostingPullPrivate,
          log_level: logLevel,
          log_format: logFormat,
        },
        env: context.env,
        cwd: context.cwd,
      })
      const pretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && context.terminal)
      const logger = createLogger({ level: config.logLevel, pretty })
      const unknown = unknownVariablesText(context.env)
      if (unknown !== undefined) logger.warn(unknown)
      const clean = await runUntilSignal(config, logger, context, pretty).catch((error: unknown) => {
        // Said once: on standard error, in the form of the log, so that a collector of JSON lines gets one.
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

/** What a person who has just started a node does next. */
function nextSteps({ url, avatars }: Started, { command }: CommandContext): string {
  const lines = [`The node runs. Open ${url} in a browser; stop it with Ctrl-C.`]
  if (avatars === 0) {
    const node = url === `${DEFAULT_NODE_URL}/` ? '' : ` --node ${url}`
    lines.push(
      'It holds nothing yet. To write, make a key and sign a first patch, in another terminal:',
      `  ${command} key create`,
      `  ${command} put '{"greeting":"hello"}'${node}`,
    )
  }
  return lines.join('\n')
}

/** Resolves when the node was stopped by a signal: whether everything that had to be written was written. */
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
  // Left to Node.js, one forgotten rejection in a connection to a stranger would end the node for everybody.
  process.on('unhandledRejection', (reason) => logger.error({ err: reason }, 'unhandled rejection'))

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
