import { AbstractIterator, AbstractLevel, AbstractSnapshot } from 'abstract-level'
import type { Change, BlockDevice } from './block-device.ts'
import type { SortedMap } from './sorted-map.ts'

type Bytes = Uint8Array
type Kind = 'read' | 'write'

interface Range {
  readonly gte?: Bytes
  readonly gt?: Bytes
  readonly lte?: Bytes
  readonly lt?: Bytes
  readonly reverse?: boolean
  readonly limit?: number
  readonly snapshot?: ReadSnapshot
}
type Operation =
  | { readonly type: 'put'; readonly key: Bytes; readonly value: Bytes }
  | { readonly type: 'del'; readonly key: Bytes }

/** How long the disk takes; undefined for no time at all. */
export type Latency = (kind: Kind) => Promise<void> | undefined

/** What it can do, as abstract-level's other implementations say it. */
const MANIFEST = {
  seek: false,
  explicitSnapshots: true,
  permanence: true,
  createIfMissing: false,
  errorIfExists: false,
  has: true,
  getSync: true,
  encodings: { view: true },
}

/** One process's open database on a simulated disk. */
export class SimulatedDisk extends AbstractLevel<string | Buffer | Bytes, Bytes, Bytes> {
  readonly #blockDevice: BlockDevice
  readonly #latency: Latency
  #underWay = 0

  constructor(blockDevice: BlockDevice, latency: Latency) {
    super(MANIFEST, { keyEncoding: 'view', valueEncoding: 'view' })
    this.#blockDevice = blockDevice
    this.#latency = latency
  }

  /** Whether somebody waits for the disk. */
  get isBusy(): boolean {
    return this.#underWay > 0
  }

  async during<T>(kind: Kind, act: () => T): Promise<T> {
    const wait = this.#latency(kind)
    if (wait !== undefined) {
      this.#underWay += 1
      await wait
      this.#underWay -= 1
    }
    return act()
  }

  async _get(key: Bytes, options: Range): Promise<Bytes | undefined> {
    const map = this.#at(options)
    return this.during('read', () => copyOf(map.get(text(key))))
  }

  _getSync(key: Bytes, options: Range): Bytes | undefined {
    return copyOf(this.#at(options).get(text(key)))
  }

  async _getMany(keys: Bytes[], options: Range): Promise<(Bytes | undefined)[]> {
    const map = this.#at(options)
    return this.during('read', () => keys.map((key) => copyOf(map.get(text(key)))))
  }

  async _has(key: Bytes, options: Range): Promise<boolean> {
    return (await this._get(key, options)) !== undefined
  }

  async _put(key: Bytes, value: Bytes, options: { sync?: boolean }): Promise<void> {
    await this._batch([{ type: 'put', key, value }], options)
  }

  async _del(key: Bytes, options: { sync?: boolean }): Promise<void> {
    await this._batch([{ type: 'del', key }], options)
  }

  async _batch(operations: readonly Operation[], { sync = false }: { sync?: boolean }): Promise<void> {
    const batch = operations.map((operation): Change => {
      const value = operation.type === 'put' ? copyOf(operation.value) : undefined
      return { key: text(operation.key), value }
    })
    this.#blockDevice.begin(batch)
    await this.during('write', () => this.#blockDevice.finish(batch, sync))
  }

  async _clear(options: Range): Promise<void> {
    const batch = [...walk(this.#at(options), options)].map(([key]): Change => ({ key, value: undefined }))
    this.#blockDevice.begin(batch)
    await this.during('write', () => this.#blockDevice.finish(batch, false))
  }

  _iterator(options: Range): DiskIterator {
    return new DiskIterator(this, walk(this.#at(options), options), options)
  }

  _snapshot(options: object): ReadSnapshot {
    return new ReadSnapshot(this.#blockDevice.current, options)
  }

  #at({ snapshot }: Range): SortedMap {
    return snapshot?.map ?? this.#blockDevice.current
  }
}

/** What was stored at one moment. */
class ReadSnapshot extends AbstractSnapshot {
  readonly map: SortedMap

  constructor(map: SortedMap, options: object) {
    // The declaration leaves out the options that the constructor takes.
    super(...([options] as unknown as []))
    this.map = map
  }
}

class DiskIterator extends AbstractIterator<SimulatedDisk, Bytes, Bytes> {
  readonly #disk: SimulatedDisk
  readonly #entries: Iterator<readonly [string, Bytes]>

  constructor(disk: SimulatedDisk, entries: Iterator<readonly [string, Bytes]>, options: Range) {
    super(...([disk, options] as unknown as [SimulatedDisk, never]))
    this.#disk = disk
    this.#entries = entries
  }

  async _next(): Promise<[Bytes, Bytes] | undefined> {
    return (await this._nextv(1))[0]
  }

  async _nextv(size: number): Promise<[Bytes, Bytes][]> {
    return this.#disk.during('read', () => {
      const rows: [Bytes, Bytes][] = []
      while (rows.length < size) {
        const next = this.#entries.next()
        if (next.done === true) break
        rows.push([bytesOf(next.value[0]), copyOf(next.value[1])])
      }
      return rows
    })
  }
}

function* walk(map: SortedMap, range: Range): Generator<readonly [string, Bytes]> {
  const { reverse = false, limit = -1 } = range
  const low = range.gte ?? range.gt
  const high = range.lte ?? range.lt
  const isIn = (key: string): boolean =>
    reverse
      ? low === undefined || key > text(low) || (range.gte !== undefined && key === text(low))
      : high === undefined || key < text(high) || (range.lte !== undefined && key === text(high))
  let entry = reverse
    ? map.before(high && text(high), range.lte !== undefined)
    : map.after(low === undefined ? '' : text(low), range.gte !== undefined || low === undefined)
  for (let count = 0; entry !== undefined && count !== limit && isIn(entry[0]); count += 1) {
    yield entry
    entry = reverse ? map.before(entry[0], false) : map.after(entry[0], false)
  }
}

export function text(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function bytesOf(latin1: string): Bytes {
  return Buffer.from(latin1, 'latin1')
}

function copyOf(bytes: Bytes): Bytes
function copyOf(bytes: Bytes | undefined): Bytes | undefined
function copyOf(bytes: Bytes | undefined): Bytes | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes)
}
