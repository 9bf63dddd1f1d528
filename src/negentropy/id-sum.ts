/** Numbers modulo 2^256 as eight 32-bit limbs, lowest first: a `Uint32Array(8)`, or 8 elements of a longer one. */

export const LIMBS = 8
const LIMB = 2 ** 32

/** Adds the 32 little-endian bytes at `at` in `bytes` to `sum`, in place. */
export function addBytes(sum: Uint32Array, bytes: DataView, at: number): void {
  let carry = 0
  for (let limb = 0; limb < LIMBS; limb += 1) {
    const total = (sum[limb] as number) + bytes.getUint32(at + limb * 4, true) + carry
    sum[limb] = total
    carry = total >= LIMB ? 1 : 0
  }
}

/** Adds the number whose limbs begin at `from` in `limbs` to `sum`, in place. */
export function addLimbs(sum: Uint32Array, limbs: Uint32Array, from: number): void {
  let carry = 0
  for (let limb = 0; limb < LIMBS; limb += 1) {
    const total = (sum[limb] as number) + (limbs[from + limb] as number) + carry
    sum[limb] = total
    carry = total >= LIMB ? 1 : 0
  }
}

/** `minuend` − `subtrahend` modulo 2^256, as 32 little-endian bytes. */
export function differenceBytes(minuend: Uint32Array, subtrahend: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(LIMBS * 4)
  const view = new DataView(bytes.buffer)
  let borrow = 0
  for (let limb = 0; limb < LIMBS; limb += 1) {
    const rest = (minuend[limb] as number) - (subtrahend[limb] as number) - borrow
    view.setUint32(limb * 4, rest, true)
    borrow = rest < 0 ? 1 : 0
  }
  return bytes
}
