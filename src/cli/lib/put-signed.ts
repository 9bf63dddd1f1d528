import { messageOf } from '../../platform/errors.ts'
import type { SubmitAnswer } from '../../client/answers.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { readStatus } from '../../client/node-info.ts'
import { STORED_STATUSES } from '../../client/delivery.ts'
import { submitAll } from '../../client/submit-records.ts'
import type { RecordText } from '../../client/types.ts'
import { JsonTextError } from '../../record/errors.ts'
import { parseExactJson } from '../../record/exact-json.ts'
import { parseSignature } from '../../record/signature.ts'
import type { JsonValue, RecordId } from '../../record/types.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { loadEngine } from './lazy-parts.ts'
import { inputName, readInput } from './read-input.ts'
import { refusalsText } from './refusals-text.ts'
import { countText, jsonText, printable } from './text.ts'

/** A snapshot of some hundred parts fits; an archive of more is for `import`, which streams. */
const MAX_INPUT_BYTES = 128 * 1024 * 1024

/**
 * `put --signed`: gives records to a node that were signed elsewhere. All are verified here first; where one is not
 * good, none is sent.
 *
 * @param file `-` reads standard input
 * @throws CliError
 */
export async function putSigned(
  context: CommandContext,
  api: NodeApi,
  file: string,
  options: { readonly json: boolean },
): Promise<void> {
  const longer = 'For more there is "avatar-kv import"'
  const text = await readInput(context, { what: 'signed records', file, maxBytes: MAX_INPUT_BYTES, longer })
  const records = parseSigned(text, inputName(file))
  const { network } = await readStatus(api.transport)
  const ids = await verifyAll(records, network)

  const onSent = (sent: number): void => context.note(`${sent} of ${records.length} records sent …`)
  const answers = await submitAll(api, records, { waits: true, onSent })
  const results = answers.map((answer, index) => ({ ...answer, id: ids[index] ?? answer.id }))
  if (options.json) context.out(jsonText({ results }))
  else context.out(countsText(answers))
  const refusals = refusalsText(answers)
  if (refusals !== undefined) throw new CliError('refused', `The node at ${api.url}: ${refusals}`)
  if (answers.some(({ status }) => status === 'pending')) {
    context.note('What is pending is kept, and shown once the node holds all records that it needs.')
  }
}

interface Signed extends RecordText {
  /** As the file says. */
  readonly id: string | undefined
}

/** `{"records":[…]}`, a list, or lines of one record each; of each, `payload` and `signature` count. */
function parseSigned(text: string, name: string): Signed[] {
  const values = parseWhole(text, name) ?? parseLines(text, name)
  if (values.length === 0) throw new CliError('usage', `There is no record in ${name}.`)
  return values.map((value, index) => {
    const { payload, signature, id } = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
    if (typeof payload !== 'string' || typeof signature !== 'string') {
      const hint = index === 0 ? ' (For an archive there is "avatar-kv import".)' : ''
      throw new CliError(
        'failed',
        `Record ${index + 1} of ${name} is not {"payload":"…","signature":"…"}; nothing was sent.${hint}`,
      )
    }
    if (signature.trim() === '') {
      throw new CliError('failed', `Record ${index + 1} of ${name} is not signed yet; nothing was sent.`)
    }
    return { payload, signature: signature.trim(), id: typeof id === 'string' ? id : undefined }
  })
}

/** @returns undefined where the text is not one JSON value */
function parseWhole(text: string, name: string): JsonValue[] | undefined {
  let value: JsonValue
  try {
    value = parseExactJson(text)
  } catch (error) {
    if (error instanceof JsonTextError && error.code === 'invalid_json') return undefined
    throw notRead(name, error)
  }
  if (Array.isArray(value)) return value
  const records = typeof value === 'object' && value !== null ? value['records'] : undefined
  return Array.isArray(records) ? records : [value]
}

function parseLines(text: string, name: string): JsonValue[] {
  return text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== '')
    .map(({ line, number }) => {
      try {
        return parseExactJson(line)
      } catch (error) {
        throw notRead(`line ${number} of ${name}`, error)
      }
    })
}

function notRead(place: string, error: unknown): CliError {
  return new CliError(
    'failed',
    `Cannot read ${place} as JSON (${printable(messageOf(error))}); nothing was sent. Name a file that avatar-kv put --unsigned made.`,
  )
}

async function verifyAll(records: readonly Signed[], network: string): Promise<RecordId[]> {
  const { verifyRecord } = await import('../../record/verify.ts')
  const engine = await loadEngine()
  return records.map(({ payload, signature, id }, index) => {
    try {
      const record = { payload: new TextEncoder().encode(payload), signature: parseSignature(signature) }
      const verified = verifyRecord(engine, network, record, { recoveryByte: true })
      if (id !== undefined && id !== verified.id) throw new Error(`its id is ${verified.id}, not ${printable(id)}`)
      return verified.id
    } catch (error) {
      throw new CliError('failed', `Record ${index + 1} is not valid: ${messageOf(error)} Nothing was sent.`)
    }
  })
}

function countsText(answers: readonly SubmitAnswer[]): string {
  const counts = new Map<string, number>()
  for (const answer of answers) {
    const status = STORED_STATUSES.has(answer.status) ? answer.status : 'not taken'
    counts.set(status, (counts.get(status) ?? 0) + 1)
  }
  return [...counts].map(([status, count]) => `${printable(status)}: ${countText(count, 'record')}`).join(', ')
}
