import { setTimeout as sleep } from 'node:timers/promises'

import type { RecordAnswer, SubmitAnswer } from './answers.ts'
import { CliError } from './errors.ts'
import type { NodeClient } from './node-client.ts'
import { countText, printable } from './text.ts'

export type TextRecord = Pick<RecordAnswer, 'payload' | 'signature'>

/** A quarter of what a request may have (docs/protocol.md, "HTTP"), so that each is answered well within the client's time. */
const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_RECORDS = 500
/** A busy node says when to come back, mostly after a second. */
const MAX_BUSY_TRIES = 20
const MAX_BUSY_WAIT_S = 30

/** Refusals that are shown one by one. */
const MAX_SHOWN = 5

/**
 * Gives records to a node in their order, as many requests as it takes, and waits where the node is busy.
 *
 * @param progress called after each request but the last with the number of records sent so far
 * @returns one answer each, in order
 * @throws CliError where the node cannot be used; what was acknowledged until then is kept there
 */
export async function submitRecords(
  client: NodeClient,
  records: readonly TextRecord[],
  progress: (sent: number) => void = () => undefined,
): Promise<SubmitAnswer[]> {
  const answers: SubmitAnswer[] = []
  for (const batch of batches(records)) {
    if (answers.length > 0) progress(answers.length)
    answers.push(...(await submitBatch(client, batch)))
  }
  return answers
}

async function submitBatch(client: NodeClient, batch: readonly TextRecord[]): Promise<SubmitAnswer[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await client.submit(batch)
    } catch (error) {
      const refusal = error instanceof CliError ? error.refusal : undefined
      if (refusal?.status !== 503 || tries >= MAX_BUSY_TRIES) throw error
      await sleep(Math.min(refusal.retryAfterSeconds ?? 1, MAX_BUSY_WAIT_S) * 1000)
    }
  }
}

function* batches(records: readonly TextRecord[]): Iterable<TextRecord[]> {
  let batch: TextRecord[] = []
  let bytes = 0
  for (const record of records) {
    const size = Buffer.byteLength(JSON.stringify(record))
    if (batch.length > 0 && (bytes + size > BATCH_BYTES || batch.length >= BATCH_RECORDS)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

/** Whether the node has the record on disk now. */
export function isKept({ status }: SubmitAnswer): boolean {
  return status === 'stored' || status === 'pending' || status === 'duplicate'
}

/** Why a node did not take some of the records; undefined where it took all. */
export function refusalsText(answers: readonly SubmitAnswer[]): string | undefined {
  const refused = answers.map((answer, index) => ({ ...answer, index })).filter((answer) => !isKept(answer))
  if (refused.length === 0) return undefined
  const lines = refused.slice(0, MAX_SHOWN).map(({ index, status, code, message, retry }) => {
    const why = [code, message].filter((part) => part !== undefined).join(': ')
    return `\n  record ${index + 1}: ${printable([status, why].filter(Boolean).join(', '))}${retry === true ? ' (it may later)' : ''}`
  })
  const more = refused.length > MAX_SHOWN ? `\n  … and ${refused.length - MAX_SHOWN} more` : ''
  return `${refused.length} of ${countText(answers.length, 'record')} not taken:${lines.join('')}${more}`
}
