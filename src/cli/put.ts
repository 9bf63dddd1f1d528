import type { Command } from 'commander'

import { JsonTextError } from '../record/errors.ts'
import { parseExactJson } from '../record/exact-json.ts'
import { avatarOf } from '../record/keys.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonObject } from '../record/types.ts'
import { isJsonObject } from '../state/merge-patch.ts'
import { avatarArgument, jsonOption, nodeOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { CliError } from './lib/errors.ts'
import { DEFAULT_KEY_FILE, readKeyFile } from './lib/key-file.ts'
import { nodeAt } from './lib/node.ts'
import { readInput } from './lib/read-input.ts'
import { jsonText, printable } from './lib/text.ts'
import { unsignedText, writeUnsignedFile } from './lib/unsigned-file.ts'

/** About the size of the most records that one patch may become (`MAX_PIECES` of the client), of 262,144 bytes each. */
const MAX_INPUT_BYTES = 256 * 1024 * 1024

interface PutOptions {
  readonly file?: string
  readonly key: string
  readonly platform?: string
  readonly identity?: string
  readonly signed?: string
  readonly unsigned?: string
  readonly avatar?: Avatar
  readonly node: string
  readonly json?: true
}

/** `put`. */
export function addPut(program: Command, context: CommandContext): void {
  program
    .command('put')
    .summary('sign a patch and write it')
    .description(
      'Signs a JSON merge patch with your key and sends it to the node. The patch sets its members; null deletes a member ' +
        '(RFC 7396). Before it signs, the command reads the records of your avatar and verifies them on this machine. A ' +
        'patch that is too large for one record becomes several records. Give the patch as the argument JSON, as a file, or ' +
        'on standard input.',
    )
    .argument('[json]', 'the patch, a JSON object; - reads standard input')
    .option('--file <file>', 'read the patch from a file')
    .option('--key <file>', 'file with the secret key', DEFAULT_KEY_FILE)
    .option('--platform <name>', `platform of the namespace (default: ${OWN_PLATFORM}, the avatar's own)`)
    .option('--identity <name>', 'identity on that platform (default: the avatar itself)')
    .option('--unsigned <file>', 'sign nothing, but write the payload to a file for a wallet; needs --avatar')
    .option('--avatar <avatar>', 'with --unsigned: the avatar that will sign', avatarArgument)
    .option('--signed <file>', 'send records that were signed elsewhere, from a file (- for standard input)')
    .addOption(nodeOption(context.env))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv put '{"com.example.app":{"colour":"green"}}'
  $ avatar-kv put '{"com.example.app":{"colour":null}}'        deletes the colour
  $ avatar-kv put --file profile.json --platform twitter --identity alice
  $ avatar-kv put '{"a":1}' --avatar 0x02b4…c1 --unsigned to-sign.json
  $ avatar-kv put --signed to-sign.json
  $ echo '{"a":1}' | avatar-kv put --key alice.key --node http://192.0.2.7:4381`,
    )
    .action(async (json: string | undefined, options: PutOptions) => {
      if (options.signed !== undefined) {
        checkAlone(json, options)
        const { putSigned } = await import('./lib/put-signed.ts')
        return await putSigned(context, nodeAt(options.node), options.signed, { json: options.json === true })
      }
      if ((options.unsigned === undefined) !== (options.avatar === undefined)) {
        throw new CliError(
          'usage',
          'Give --unsigned FILE and --avatar AVATAR together: the file to write, and the avatar that will sign.',
        )
      }
      const place = { api: nodeAt(options.node), clock: context.environment.clock, note: context.note }
      const patch = parsePatch(await readPatch(context, json, options.file))
      const { putPatch, unsignedPatch } = await import('./lib/put-patch.ts')
      if (options.unsigned !== undefined && options.avatar !== undefined) {
        const { avatar, unsigned } = options
        const payloads = await unsignedPatch(place, avatar, { ...namespaceOf(options, avatar), patch })
        await writeUnsignedFile(context, unsigned, payloads)
        const ids = payloads.map(({ id }) => id)
        if (options.json) context.out(jsonText({ avatar, file: unsigned, ids }))
        else context.out(unsignedText(unsigned, ids.length, place.api.url))
        return undefined
      }
      const secretKey = await readKeyFile(context, options.key)
      const { platform, identity } = namespaceOf(options, avatarOf(secretKey))
      const result = await putPatch(place, { secretKey, platform, identity, patch })
      if (options.json) context.out(jsonText({ ...result, platform, identity }))
      else for (const { id, counter } of result.records) context.out(`${result.status}  ${id}  counter ${counter}`)
      if (result.status === 'pending') {
        context.note('The node stored the patch, but shows it only when it has all earlier records.')
      }
      return undefined
    })
}

/** @throws CliError `usage` if an option or the patch cannot be used with `--signed` */
function checkAlone(json: string | undefined, { file, unsigned, avatar, platform, identity }: PutOptions): void {
  if ([json, file, unsigned, avatar, platform, identity].some((each) => each !== undefined)) {
    throw new CliError(
      'usage',
      'With --signed, the records in the file say everything. Leave out the patch and its options.',
    )
  }
}

/** @throws CliError `usage` if the namespace is incomplete, or belongs to another avatar */
function namespaceOf(options: PutOptions, avatar: Avatar): { platform: string; identity: string } {
  const { platform = OWN_PLATFORM } = options
  const identity = options.identity ?? (platform === OWN_PLATFORM ? avatar : undefined)
  if (identity === undefined) throw new CliError('usage', `--platform ${platform} needs an --identity on it.`)
  if (options.platform === undefined && options.identity !== undefined) {
    throw new CliError('usage', '--identity needs the --platform that it is on.')
  }
  if (platform === OWN_PLATFORM && identity !== avatar) {
    throw new CliError('usage', `On the platform ${OWN_PLATFORM} the --identity is the avatar. Leave it out.`)
  }
  return { platform, identity }
}

async function readPatch(context: CommandContext, json: string | undefined, file: string | undefined): Promise<string> {
  if (json !== undefined && file !== undefined) {
    throw new CliError('usage', 'Give the patch as an argument or with --file, not both.')
  }
  if (json !== undefined && json !== '-') return json
  if (file === undefined && json === undefined && context.stdin.isTTY === true) throw noPatch()
  const longer = 'Write it in several parts'
  const text = await readInput(context, { what: 'the patch', file: file ?? '-', maxBytes: MAX_INPUT_BYTES, longer })
  if (text.trim() === '') throw noPatch()
  return text
}

function noPatch(): CliError {
  return new CliError('usage', `There is no patch. For example: avatar-kv put '{"greeting":"hello"}'`)
}

/** @throws CliError `usage` if the text is not a JSON object, or JSON numbers cannot hold one of its values */
function parsePatch(text: string): JsonObject {
  try {
    const patch = parseExactJson(text)
    if (isJsonObject(patch)) return patch
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error
    if (error.code !== 'invalid_json') throw new CliError('usage', `${error.message} Nothing was written.`)
    const why = printable(error.message.replaceAll('\n', ' '))
    throw new CliError('usage', `The patch is not JSON (${why}). Put it in single quotes: '{"key":"value"}'`)
  }
  throw new CliError('usage', 'The patch must be a JSON object, such as {"key":"value"}.')
}
