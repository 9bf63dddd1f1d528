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

/** Adds an id, or a sum of ids, of 32 bytes. */
export function addId(sum: Uint32Array, id: Uint8Array): void {
  addBytes(sum, new DataView(id.buffer, id.byteOffset, id.byteLength), 0)
}

/** Adds the number in eight limbs to `sum`, in place; with `sign` -1 subtracts it. */
export function addLimbs(sum: Uint32Array, limbs: Uint32Array, sign: 1 | -1 = 1): void {
  let carry = 0
  for (let limb = 0; limb < LIMBS; limb += 1) {
    const total = (sum[limb] as number) + sign * (limbs[limb] as number) + carry
    sum[limb] = total
    carry = Math.floor(total / LIMB)
  }
}

/** A sum as 32 little-endian bytes. */
export function sumBytes(sum: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(LIMBS * 4)
  const view = new DataView(bytes.buffer)
  for (let limb = 0; limb < LIMBS; limb += 1) view.setUint32(limb * 4, sum[limb] as number, true)
  return bytes
}
