/**
 * How a running node sends a backup: the compressed archive in frames, each a length of 4 bytes (big-endian, from 1) and so many
 * bytes; a length of 0; and at the end a JSON text of the totals, the store's epoch and the version. A backup that ends anywhere
 * else was cut short.
 */
import { messageOf } from '../platform/errors.ts'
import { BackupError } from './errors.ts'
import { BackupEnd, checked, MAX_MANIFEST_BYTES, type BackupTotals } from './manifest.ts'
import type { BackupSource } from './source.ts'

const LENGTH_BYTES = 4
/** Chunks of archives are far smaller. */
const MAX_FRAME_BYTES = 1_048_576

/** Yields the bytes of a backup to send. */
export async function* encodeFrames(
  source: BackupSource,
  facts: Omit<BackupEnd, keyof BackupTotals>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source.chunks) {
    for (let at = 0; at < chunk.length; at += MAX_FRAME_BYTES) {
      const part = chunk.subarray(at, at + MAX_FRAME_BYTES)
      yield lengthBytes(part.length)
      yield part
    }
  }
  yield lengthBytes(0)
  yield Buffer.from(JSON.stringify({ ...source.totals(), ...facts }), 'utf8')
}

/** A backup that is received. */
export interface ReceivedBackup {
  /** The compressed archive. Read it once, to its end. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Throws before `chunks` has ended. */
  end(): BackupEnd
}

/**
 * Decodes the bytes of `encodeFrames`, in bounded memory.
 *
 * @throws BackupError `damaged` from `chunks` if the bytes are damaged or were cut short
 */
export function decodeFrames(bytes: AsyncIterable<Uint8Array>): ReceivedBackup {
  let end: BackupEnd | undefined
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let held: Uint8Array = new Uint8Array(0)
    let isLast = false
    for await (const more of bytes) {
      held = held.length === 0 ? more : Buffer.concat([held, more])
      while (!isLast && held.length >= LENGTH_BYTES) {
        const length = Buffer.from(held.buffer, held.byteOffset, LENGTH_BYTES).readUInt32BE()
        if (length > MAX_FRAME_BYTES) throw damaged('these are not the bytes of a backup')
        if (length === 0) {
          isLast = true
          held = held.subarray(LENGTH_BYTES)
        } else if (held.length >= LENGTH_BYTES + length) {
          yield held.subarray(LENGTH_BYTES, LENGTH_BYTES + length)
          held = held.subarray(LENGTH_BYTES + length)
        } else break
      }
      if (isLast && held.length > MAX_MANIFEST_BYTES) throw damaged('its end is too long')
    }
    if (!isLast) throw damaged('it was cut short')
    end = parseEnd(Buffer.from(held.buffer, held.byteOffset, held.length).toString('utf8'))
  }
  return {
    chunks: chunks(),
    end() {
      if (end === undefined) throw new Error('The backup has not been read to its end.')
      return end
    },
  }
}

function parseEnd(text: string): BackupEnd {
  try {
    return checked(BackupEnd, JSON.parse(text))
  } catch (error) {
    throw damaged(error instanceof SyntaxError ? 'it was cut short' : `at its end, ${messageOf(error)}`)
  }
}

function lengthBytes(length: number): Uint8Array {
  const bytes = Buffer.alloc(LENGTH_BYTES)
  bytes.writeUInt32BE(length)
  return bytes
}

function damaged(what: string): BackupError {
  return new BackupError('damaged', `The node did not send the whole backup: ${what}. Make the backup again.`)
}
