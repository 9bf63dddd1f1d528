import { createHash } from 'node:crypto'

/**
 * A second reading of docs/negentropy-protocol-v1.md, written without regard to src/: absolute bounds, hex and BigInt.
 * `undefined` as timestamp is infinity.
 */
export interface SpecRange {
  timestamp: number | undefined
  prefix?: string
  skip?: true
  fingerprint?: string
  ids?: string[]
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** Base 128, most significant digit first: the number's binary digits in groups of seven. */
export function specVarint(value: number | bigint): string {
  let binary = BigInt(value).toString(2)
  while (binary.length % 7 !== 0) binary = `0${binary}`
  const groups = binary.match(/.{7}/g) ?? []
  return groups
    .map((group, at) => Number.parseInt(`${at === groups.length - 1 ? '0' : '1'}${group}`, 2))
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')
}

/** Sum of the ids read as little-endian numbers, modulo 2^256, and the count; hashed, first 16 bytes. */
export function specFingerprint(ids: readonly string[]): string {
  let sum = 0n
  for (const id of ids) sum += BigInt(`0x${Buffer.from(id, 'hex').reverse().toString('hex')}`)
  const low = (sum % (1n << 256n)).toString(16).padStart(64, '0')
  const input = Buffer.concat([Buffer.from(low, 'hex').reverse(), Buffer.from(specVarint(ids.length), 'hex')])
  return createHash('sha256').update(input).digest('hex').slice(0, 32)
}

export function specMessage(ranges: readonly SpecRange[]): string {
  let text = '61'
  let before = 0
  for (const { timestamp, prefix = '', fingerprint, ids } of ranges) {
    text += timestamp === undefined ? '00' : specVarint(BigInt(timestamp) - BigInt(before) + 1n)
    before = timestamp ?? before
    text += specVarint(prefix.length / 2) + prefix
    if (fingerprint !== undefined) text += `01${fingerprint}`
    else if (ids !== undefined) text += `02${specVarint(ids.length)}${ids.join('')}`
    else text += '00'
  }
  return text
}

export function readSpecMessage(message: Uint8Array): SpecRange[] {
  let rest = hex(message)
  const take = (bytes: number) => {
    const head = rest.slice(0, bytes * 2)
    if (head.length < bytes * 2) throw new Error('ends early')
    rest = rest.slice(bytes * 2)
    return head
  }
  const varint = () => {
    let digits = ''
    for (;;) {
      const byte = Number.parseInt(take(1), 16)
      digits += (byte % 128).toString(2).padStart(7, '0')
      if (byte < 128) return Number(BigInt(`0b${digits}`))
    }
  }
  if (take(1) !== '61') throw new Error('not version 1')
  const ranges: SpecRange[] = []
  let before = 0
  while (rest !== '') {
    const encoded = varint()
    const timestamp = encoded === 0 ? undefined : before + encoded - 1
    before = timestamp ?? before
    const range: SpecRange = { timestamp, prefix: take(varint()) }
    const mode = varint()
    if (mode === 0) range.skip = true
    else if (mode === 1) range.fingerprint = take(16)
    else if (mode === 2) range.ids = Array.from({ length: varint() }, () => take(32))
    else throw new Error('unknown mode')
    ranges.push(range)
  }
  return ranges
}
