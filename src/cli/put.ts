import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'

import type { Clock } from '../environment.ts'
import { buildPatch } from '../record/build.ts'
import { JsonTextError } from '../record/errors.ts'
import { parseExactJson } from '../record/exact-json.ts'
import { avatarOf } from '../record/keys.ts'
import { encodePayload } from '../record/payload.ts'
import { recordId } from '../record/id.ts'
import { signRecord } from '../record/sign.ts'
import { isJsonObject } from '../state/merge-patch.ts'
import type { Avatar, JsonObject, PatchBody, RecordId } from '../record/types.ts'
import type { SubmitAnswer } from './answers.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import { avatarArgument, jsonOption, nodeOption } from './arguments.ts'
import type { CommandContext } from './context.ts'
import { CliError, messageOf } from './errors.ts'
import { DEFAULT_KEY_FILE, readKeyFile } from './key-file.ts'
import { createNodeClient } from './node-client.ts'
import type { NodeClient } from './node-client.ts'
import { isKept } from './submit.ts'
import { jsonText, printable } from './text.ts'
import { unsignedText, writeUnsignedFile } from './unsigned-file.ts'

/** A patch stands inside a payload of at most 262,144 bytes, but may be typed with white space. */
const MAX_INPUT_BYTES = 1024 * 1024

export interface Patch {
  readonly secretKey: Uint8Array
  readonly platform: string
  readonly identity: string
  readonly patch: JsonObject
}

export interface PutResult extends SubmitAnswer {
  readonly id: RecordId
  readonly avatar: Avatar
  readonly counter: number
}

/**
 * Signs a patch on the tips that a node shows and gives it to that node. Where a snapshot that was made meanwhile
 * supersedes the patch, signs it once anew.
 *
 * @throws CliError where the node cannot be used or the patch breaks a rule of the protocol
 */
export async function putPatch(client: NodeClient, clock: Clock, patch: Patch): Promise<PutResult> {
  const result = await putOnce(client, clock, patch)
  return result.status === 'superseded' ? putOnce(client, clock, patch) : result
}

async function putOnce(client: NodeClient, clock: Clock, { secretKey, ...patch }: Patch): Promise<PutResult> {
  const avatar = avatarOf(secretKey)
  const body = await patchOn(client, clock, avatar, patch)
  const signed = signRecord(body, secretKey)
  const payload = new TextDecoder().decode(signed.payload)
  const signature = `0x${Buffer.from(signed.signature).toString('hex')}`
  const [answer] = await client.submit([{ payload, signature }])
  if (answer === undefined) throw new CliError('refused', `The node at ${client.url} gave no result.`)
  return { ...answer, id: recordId(signed.payload), avatar, counter: body.counter }
}

/** A patch on the tips that the node shows, ready to be signed. */
async function patchOn(
  client: NodeClient,
  clock: Clock,
  avatar: Avatar,
  patch: Omit<Patch, 'secretKey'>,
): Promise<PatchBody> {
  const view = await client.avatar(avatar)
  const network = view?.network ?? (await client.status()).network
  const createdAt = Math.floor(clock.now() / 1000)
  try {
    return buildPatch({ avatar, network, ...patch, prev: view?.tips ?? [], createdAt, uuid: randomUUID() })
  } catch (error) {
    throw new CliError('failed', `This cannot be written: ${messageOf(error)}`)
  }
}

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
      'Signs a JSON merge patch (RFC 7396: members are set, null deletes) as the avatar of your key, and gives it to a ' +
        'node. The patch is the argument JSON, or a file, or standard input where JSON is - or left out.',
    )
    .argument('[json]', 'the patch, a JSON object; - reads standard input')
    .option('--file <file>', 'read the patch from a file')
    .option('--key <file>', 'file with the secret key', DEFAULT_KEY_FILE)
    .option('--platform <name>', `platform of the namespace (default: ${OWN_PLATFORM}, the avatar's own)`)
    .option('--identity <name>', 'identity on that platform (default: the avatar itself)')
    .option('--unsigned <file>', 'sign nothing; write the payload to a file for a wallet, together with --avatar')
    .option('--avatar <avatar>', 'the avatar that will sign, with --unsigned', avatarArgument)
    .option('--signed <file>', 'give in records that were signed elsewhere, from a file (- for standard input)')
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
      const client = createNodeClient(options.node)
      if (options.signed !== undefined) {
        checkAlone(json, options)
        const { putSigned } = await import('./put-signed.ts')
        return await putSigned(context, client, options.signed, { json: options.json === true })
      }
      if ((options.unsigned === undefined) !== (options.avatar === undefined)) {
        throw new CliError(
          'usage',
          '--unsigned FILE and --avatar AVATAR go together: who is to sign, and where to write.',
        )
      }
      const patch = parsePatch(await readInput(context, json, options.file))
      if (options.unsigned !== undefined && options.avatar !== undefined) {
        const { avatar, unsigned } = options
        const body = await patchOn(client, context.environment.clock, avatar, {
          ...namespaceOf(options, avatar),
          patch,
        })
        const payload = encodePayload(body)
        const id = recordId(payload)
        await writeUnsignedFile(context, unsigned, [{ payload: new TextDecoder().decode(payload), id }])
        if (options.json) context.out(jsonText({ avatar, file: unsigned, ids: [id] }))
        else context.out(unsignedText(unsigned, 1, client.url))
        return undefined
      }
      const secretKey = await readKeyFile(context, options.key)
      const { platform, identity } = namespaceOf(options, avatarOf(secretKey))

      const result = await putPatch(client, context.environment.clock, {
        secretKey,
        platform,
        identity,
        patch,
      })
      if (options.json) context.out(jsonText({ ...result, platform, identity }))
      else if (isKept(result)) context.out(`${printable(result.status)}  ${result.id}  counter ${result.counter}`)
      if (!isKept(result)) throw new CliError('refused', refusalText(result))
      if (result.status === 'pending') {
        context.note('The node keeps it, but does not show it before it holds all records that came before it.')
      }
      return undefined
    })
}

/** @throws CliError `usage` where more is given than fits beside `--signed` */
function checkAlone(json: string | undefined, { file, unsigned, avatar, platform, identity }: PutOptions): void {
  if ([json, file, unsigned, avatar, platform, identity].some((each) => each !== undefined)) {
    throw new CliError(
      'usage',
      'With --signed all is said by the records in the file; leave the patch and its options out.',
    )
  }
}

/** @throws CliError `usage` where the namespace is named by half */
function namespaceOf(options: PutOptions, avatar: Avatar): { platform: string; identity: string } {
  const { platform = OWN_PLATFORM } = options
  const identity = options.identity ?? (platform === OWN_PLATFORM ? avatar : undefined)
  if (identity === undefined) throw new CliError('usage', `--platform ${platform} needs an --identity on it.`)
  if (options.platform === undefined && options.identity !== undefined) {
    throw new CliError('usage', '--identity needs the --platform that it is on.')
  }
  return { platform, identity }
}

function refusalText({ status, code, message, retry }: PutResult): string {
  if (status === 'superseded') return 'Snapshots of this avatar keep superseding the patch; try again.'
  const why = [code, message].filter((part) => part !== undefined).join(': ') || 'no reason given'
  return `The node did not take it (${printable(status)}): ${printable(why)}${retry === true ? ' It may later.' : ''}`
}

async function readInput(context: CommandContext, json: string | undefined, file: string | undefined): Promise<string> {
  if (json !== undefined && file !== undefined) {
    throw new CliError('usage', 'Give the patch as an argument or with --file, not both.')
  }
  if (file !== undefined) return await readText(createReadStream(resolve(context.cwd, file)), file)
  if (json !== undefined && json !== '-') return json
  if (json === undefined && context.stdin.isTTY === true) throw noPatch()
  const text = await readText(context.stdin, 'standard input')
  if (text.trim() === '') throw noPatch()
  return text
}

function noPatch(): CliError {
  return new CliError('usage', `There is no patch. For example: avatar-kv put '{"greeting":"hello"}'`)
}

/** All of a stream as UTF-8 text. */
async function readText(stream: Readable, name: string): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of stream) {
      const piece = Buffer.from(chunk as Uint8Array)
      bytes += piece.byteLength
      if (bytes > MAX_INPUT_BYTES) throw new Error(`it is longer than ${MAX_INPUT_BYTES} bytes`)
      chunks.push(piece)
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (error) {
    throw new CliError('failed', `Cannot read the patch from ${name}: ${messageOf(error)}`)
  }
}

/** @throws CliError `usage` where it is no JSON object, or JSON would lose something of it */
function parsePatch(text: string): JsonObject {
  try {
    const patch = parseExactJson(text)
    if (isJsonObject(patch)) return patch
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error
    if (error.code !== 'invalid_json') throw new CliError('usage', `${error.message} Nothing was written.`)
    throw new CliError('usage', `The patch is not JSON (${error.message}). Put it in single quotes: '{"key":"value"}'`)
  }
  throw new CliError('usage', 'The patch must be a JSON object, such as {"key":"value"}.')
}
