import type { Command } from 'commander'

import { avatarOf, uncompressedAvatar } from '../record/keys.ts'
import { jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { DEFAULT_KEY_FILE, readKeyFile, writeKeyFile } from './lib/key-file.ts'
import { CliError } from './lib/errors.ts'
import { linkableKey } from './link.ts'
import { jsonText, printable } from './lib/text.ts'

const SECRET_KEY_BYTES = 32
/** Characters of a key that a file name may have everywhere. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/

/** @throws CliError `usage` if the key is no good name of a file */
function fileOfApp(app: string): string {
  if (PLAIN.test(app)) return `./${app}.key`
  throw new CliError(
    'usage',
    `${JSON.stringify(printable(app))} is no good name of a file. Name one: avatar-kv key create FILE --app KEY`,
  )
}

const quoted = (text: string): string =>
  /^[A-Za-z0-9._/~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** `key create` and `key show`. */
export function addKey(program: Command, context: CommandContext): void {
  const key = program.command('key').description('create or show the key of an avatar')

  key
    .command('create')
    .summary('create a key and print its avatar')
    .description(
      'Creates a secret key, writes it to FILE, which only you can read, and prints its avatar, the public key. The command ' +
        'never overwrites a file. Make a copy and keep it secret: without the key nobody can write as this avatar again, ' +
        'and anyone who has the key can. With --app, the key is for an app that may write one top-level key of yours: ' +
        'the command says how to link it.',
    )
    .argument('[file]', `where to write the secret key (default: ${DEFAULT_KEY_FILE}; with --app: KEY.key)`)
    .option('--app <key>', 'the top-level key that the app may write, such as com.example.app')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ avatar-kv key create\n  $ avatar-kv key create ~/.config/alice.key\n  $ avatar-kv key create --app com.example.app',
    )
    .action(async (typed: string | undefined, options: { app?: string; json?: true }) => {
      const app = options.app === undefined ? undefined : linkableKey(options.app)
      const file = typed ?? (app === undefined ? DEFAULT_KEY_FILE : fileOfApp(app))
      const secretKey = context.environment.random.bytes(SECRET_KEY_BYTES)
      const avatar = avatarOf(secretKey)
      await writeKeyFile(context, file, secretKey)
      if (options.json) return context.out(jsonText({ avatar, uncompressed: uncompressedAvatar(avatar), file }))
      context.out(avatar)
      context.note(`The secret key is in ${file}. Keep it secret, and make a copy.`)
      if (app === undefined) return
      context.note(`Let it write ${printable(app)}: ${context.command} link ${quoted(app)} --app-key ${quoted(file)}`)
    })

  key
    .command('show')
    .summary('print the avatar of a key')
    .description('Prints the avatar of the secret key in FILE. With --secret, it prints the secret key as well.')
    .argument('[file]', 'file with the secret key', DEFAULT_KEY_FILE)
    .option('--secret', 'also print the secret key')
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ avatar-kv key show\n  $ avatar-kv key show ~/.config/alice.key --json')
    .action(async (file: string, options: { json?: true; secret?: true }) => {
      const secretKey = await readKeyFile(context, file, 'its path')
      const avatar = avatarOf(secretKey)
      const secret = Buffer.from(secretKey).toString('hex')
      if (options.json) {
        const forms = { avatar, uncompressed: uncompressedAvatar(avatar) }
        return context.out(jsonText(options.secret ? { ...forms, secret } : forms))
      }
      context.out(options.secret ? `${avatar}\n${secret}` : avatar)
    })
}
