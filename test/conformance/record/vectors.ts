import { readFileSync } from 'node:fs'

const FOLDER = new URL('../vectors/', import.meta.url)

/** A file of test vectors as text. */
export function vectorText(name: string): string {
  return readFileSync(new URL(name, FOLDER), 'utf8')
}

export interface RecordVectors {
  readonly keys: Readonly<Record<string, { secret_key: string; avatar: string; uncompressed: string }>>
  readonly records: Readonly<Record<string, { payload: string; signature: string; id: string }>>
}

export function recordVectors(): RecordVectors {
  return JSON.parse(vectorText('records.json')) as RecordVectors
}
