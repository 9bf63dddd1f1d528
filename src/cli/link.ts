import type { Command } from 'commander'

import { avatarOf } from '../record/keys.ts'
import type { Avatar } from '../record/types.ts'
import { isLinkableKey } from '../state/links.ts'
import { avatarArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { DEFAULT_KEY_FILE, readKeyFile } from './lib/key-file.ts'
import { nodeAt } from './lib/node.ts'
import { jsonText, printable, table, timeText } from './lib/text.ts'

interface LinkOptions {
  readonly key: string
  readonly appKey?: string
  readonly label?: string
  readonly keep?: true
  readonly node: string
  readonly json?: true
}

/** A top-level key that can be linked. @throws CliError `usage` */
export function linkableKey(text: string): string {
  if (isLinkableKey(text)) return text
  throw new CliError(
    'usage',
    `The key ${JSON.stringify(printable(text))} cannot be linked: it is empty, or begins with org.avatar-kv., which the protocol ` +
      'uses itself. Choose a key of the app, such as com.example.app.',
  )
}

/** `link`, `unlink` and `links`. */
export function addLink(program: Command, context: CommandContext): void {
  const keyOption = ['--key <file>', "file with the owner's secret key", DEFAULT_KEY_FILE] as const
  const placeOf = ({ node }: LinkOptions) => ({ api: nodeAt(node), clock: context.environment.clock })

  program
    .command('link')
    .summary('let the key of an app write one of your top-level keys')
    .description(
      'Links a top-level key of your data to the avatar of an app: from now on the app writes to that key without your ' +
        'signature, and to nothing else. One patch, signed with your key, makes the link; "avatar-kv unlink" ends it. With ' +
        '--app-key, the value that you have under the key moves to the app first. Without it, your own value stays, hidden, ' +
        'until you unlink.',
    )
    .argument('<key>', 'the top-level key that the app may write, such as com.example.app')
    .argument('[avatar]', 'the avatar of the app (default: that of --app-key)', avatarArgument)
    .option('--label <text>', 'what the app is, for people')
    .option('--app-key <file>', "file with the app's secret key, to move your value to it")
    .option(...keyOption)
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv key create --app com.example.app
  $ avatar-kv link com.example.app --app-key com.example.app.key --label "Example, on the phone"
  $ avatar-kv link com.example.app 0x03e8…19
  $ avatar-kv put --key com.example.app.key '{"com.example.app":{"todo":["milk"]}}'`,
    )
    .action(async (text: string, typed: Avatar | undefined, options: LinkOptions) => {
      const key = linkableKey(text)
      const appKey = options.appKey === undefined ? undefined : await readKeyFile(context, options.appKey, '--app-key')
      const avatar = typed ?? (appKey && avatarOf(appKey))
      if (avatar === undefined) {
        throw new CliError(
          'usage',
          'Which avatar may write this key? Give it as the second argument, or --app-key FILE.',
        )
      }
      if (appKey !== undefined && avatarOf(appKey) !== avatar) {
        throw new CliError('usage', `The key in ${options.appKey} is not that of ${avatar}. Leave out one of the two.`)
      }
      const secretKey = await readKeyFile(context, options.key)
      const { link } = await import('./lib/link-patch.ts')
      const result = await link(placeOf(options), { secretKey, key, avatar, label: options.label, appKey })
      if (options.json) return context.out(jsonText(result))
      context.out(`${result.status}  ${printable(key)} is written by ${avatar}`)
      if (result.moved) context.note('The value that you had under this key was moved to the app.')
      if (result.hides) context.note('Your own value under this key is hidden while the link exists.')
    })

  program
    .command('unlink')
    .summary('end what an app may write')
    .description(
      'Removes the link of a top-level key, with one patch signed with your key. From then on nothing that the app signs ' +
        'is shown, now or later. With --keep, the same patch puts the value that was shown into your own data. Without it, the key ' +
        'shows what you have under it yourself, if anything.',
    )
    .argument('<key>', 'the top-level key')
    .option('--keep', 'keep the value that the app has written')
    .option(...keyOption)
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ avatar-kv unlink com.example.app --keep\n  $ avatar-kv unlink com.example.app --key alice.key',
    )
    .action(async (key: string, options: LinkOptions) => {
      const secretKey = await readKeyFile(context, options.key)
      const { unlink } = await import('./lib/link-patch.ts')
      const result = await unlink(placeOf(options), { secretKey, key, keep: options.keep === true })
      if (options.json) return context.out(jsonText(result))
      const kept = result.kept ? '; its value is yours now' : ''
      context.out(`${result.status}  ${printable(key)} is no longer written by ${result.avatar}${kept}`)
    })

  program
    .command('links')
    .summary('list which apps may write what')
    .description(
      'Lists the links of an avatar, from its records, which the command verifies on this machine: the top-level key, the ' +
        'avatar that writes it, and what the owner was told about it. With --to, it lists the avatars that link to this one, as ' +
        'the node says.',
    )
    .argument('[avatar]', 'the avatar (default: that of the key file)', avatarArgument)
    .option('--to', 'list the avatars that link to this one')
    .option(...keyOption)
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ avatar-kv links\n  $ avatar-kv links 0x02b4…c1 --json\n  $ avatar-kv links 0x03e8…19 --to',
    )
    .action(async (typed: Avatar | undefined, options: LinkOptions & { readonly to?: true }) => {
      const avatar = typed ?? avatarOf(await readKeyFile(context, options.key))
      const place = placeOf(options)
      if (options.to) {
        const { linkedFrom } = await import('./lib/linked-from.ts')
        const links = await linkedFrom(place.api, avatar)
        if (options.json) return context.out(jsonText({ avatar, links }))
        return context.out(
          links.length === 0
            ? `No avatar on the node at ${place.api.url} links to ${avatar}.`
            : table(links.map((each) => [each.avatar, printable(each.key)])),
        )
      }
      const { readLinks } = await import('./lib/link-patch.ts')
      const { links } = await readLinks(place, avatar)
      if (options.json) return context.out(jsonText({ avatar, links }))
      if (links.length === 0) return context.out(`${avatar} links no key to another avatar.`)
      const rows = links.map(({ key, avatar: linked, label, since }) => [
        printable(key),
        linked,
        since === null ? '' : timeText(since),
        label === null ? '' : printable(label).slice(0, MAX_LABEL),
      ])
      return context.out(table([['key', 'written by', 'since', 'label'], ...rows]))
    })
}

/** Characters of a label on one line; an owner may write any text. */
const MAX_LABEL = 80
