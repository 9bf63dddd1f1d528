import type { Key } from './keys.ts'
import type { Operation } from './level.ts'

export function put(operations: Operation[], key: Key, value: Uint8Array): void {
  operations.push({ type: 'put', key, value })
}

export function del(operations: Operation[], key: Key): void {
  operations.push({ type: 'del', key })
}
