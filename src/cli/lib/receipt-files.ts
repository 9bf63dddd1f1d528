import { appendFile, open } from 'node:fs/promises'
import { resolve } from 'node:path'

import { messageOf } from '../../platform/errors.ts'
import { fileProblem } from '../../platform/files.ts'
import { parseReceipt, verifyReceipt } from '../../receipt/receipt.ts'
import type { Receipt } from '../../receipt/receipt.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { readInput } from './read-input.ts'

/** A receipt takes some 450 bytes, so that a file of the greatest size holds about as many as may be read. */
const MAX_FILE_BYTES = 64 * 1024 * 1024
/** Each costs a signature check, about a millisecond. */
const MAX_RECEIPTS = 100_000

/** A receipt in a file, or what keeps it from being one. */
export interface FiledReceipt {
  readonly file: string
  /** Place in the file, from 1. */
  readonly place: number
  readonly receipt?: Receipt
  readonly problem?: string
}

/** Adds receipts at the end of a file, one a line, to disk (fsync). The file is made if need be. */
export async function appendReceipts(cwd: string, file: string, receipts: readonly Receipt[]): Promise<void> {
  const path = resolve(cwd, file)
  try {
    await appendFile(path, receipts.map((receipt) => `${JSON.stringify(receipt)}\n`).join(''))
    const handle = await open(path, 'r')
    await handle.sync().finally(() => handle.close())
  } catch (error) {
    throw new CliError('failed', `Cannot write the receipts to ${file}: ${fileProblem(error)}.`)
  }
}

/**
 * Reads receipts with their signatures checked, from a file of one receipt a line, of one receipt, of a list of them, or as
 * `receipt --json` prints.
 *
 * @throws CliError where the file cannot be read, holds no JSON or too much
 */
export async function readReceipts(
  context: Pick<CommandContext, 'cwd' | 'stdin'>,
  file: string,
): Promise<FiledReceipt[]> {
  const found: unknown[] = []
  const longer = 'Divide it'
  const text = await readInput(context, { what: 'receipts', file, maxBytes: MAX_FILE_BYTES, longer })
  for (const value of parseFile(text, file)) found.push(...receiptsIn(value))
  if (found.length === 0)
    throw new CliError('failed', `${file} holds no receipts. Name a file that avatar-kv receipt --out or --json made.`)
  if (found.length > MAX_RECEIPTS) {
    throw new CliError('failed', `${file} holds more than ${MAX_RECEIPTS} receipts; divide it.`)
  }
  return found.map((value, index) => ({ file, place: index + 1, ...checked(value) }))
}

function checked(value: unknown): { receipt: Receipt } | { problem: string } {
  try {
    const receipt = parseReceipt(value)
    return verifyReceipt(receipt) ? { receipt } : { problem: 'its signature is not that of the peer that it names' }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

/** The JSON values of a file: one in all of it, or one in each line. */
function parseFile(text: string, file: string): unknown[] {
  try {
    return [JSON.parse(text)]
  } catch {
    // Not one value, so perhaps one a line.
  }
  const lines = text.split('\n')
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return []
    try {
      return [JSON.parse(line) as unknown]
    } catch {
      throw new CliError(
        'failed',
        `Line ${index + 1} of ${file} is not JSON. Name a file that avatar-kv receipt --out or --json made.`,
      )
    }
  })
}

/** What should be receipts in a value: it, its elements, or those of a comparison of hosts, with what proves contradictions. */
function receiptsIn(value: unknown): unknown[] {
  if (Array.isArray(value)) return value
  if (typeof value !== 'object' || value === null || !('hosts' in value) || !Array.isArray(value.hosts)) return [value]
  const proofs: readonly unknown[] =
    'contradictions' in value && Array.isArray(value.contradictions) ? value.contradictions : []
  const all = [
    ...(value.hosts as { receipt?: unknown }[]).flatMap((host) => host?.receipt ?? []),
    ...(proofs as { receipts?: unknown[] }[]).flatMap((proof) => proof?.receipts ?? []),
  ]
  return [...new Map(all.map((receipt) => [JSON.stringify(receipt), receipt])).values()]
}
