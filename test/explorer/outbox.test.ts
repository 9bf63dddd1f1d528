import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createOutbox, type Outbox } from '../../src/explorer/data/outbox.ts'
import type { SignedChange } from '../../src/explorer/data/outbox-entry.ts'

/** As browsers keep it: keys are own properties, and what does not fit throws and changes nothing. */
class PageStorage {
  [key: string]: unknown

  static quota = Infinity

  getItem(key: string): string | null {
    return Object.hasOwn(this, key) ? (this[key] as string) : null
  }

  setItem(key: string, value: string): void {
    const others = Object.entries(this).filter(([name]) => name !== key)
    const used = others.reduce((sum, [name, text]) => sum + name.length + String(text).length, 0)
    if (used + key.length + value.length > PageStorage.quota) throw new DOMException('full', 'QuotaExceededError')
    this[key] = value
  }

  removeItem(key: string): void {
    delete this[key]
  }
}

interface Tab {
  readonly outbox: Outbox
  /** What a browser tells this page when another has written. */
  hear(key: string | null): void
  close(): void
}

type Answer = Readonly<Record<string, unknown>>

const AVATAR = '0x02'
const KEY = 'avatar-kv.outbox.0x1'
const tabs: Tab[] = []
let disk: PageStorage
/** Of each record in turn; undefined: no host is there. */
let answer: ((id: string) => Answer) | undefined
/** Of a request as a whole; undefined: each is answered. */
let whole: ((body: string) => Response | undefined | void) | undefined
let requests = 0

beforeEach(() => {
  vi.useFakeTimers()
  disk = new PageStorage()
  PageStorage.quota = Infinity
  answer = undefined
  whole = undefined
  requests = 0
  vi.stubGlobal('localStorage', disk)
  stubAddress('https://kv.example/')
  vi.stubGlobal('fetch', (_path: string, { body }: { body: string }) => {
    requests += 1
    if (answer === undefined) return Promise.reject(new TypeError('offline'))
    const told = whole?.(body)
    if (told) return Promise.resolve(told)
    const { records } = JSON.parse(body) as { records: { payload: string }[] }
    const say = answer
    return Promise.resolve(
      Response.json({ results: records.map(({ payload }) => say((JSON.parse(payload) as { uuid: string }).uuid)) }),
    )
  })
})
afterEach(() => {
  for (const tab of tabs.splice(0)) tab.close()
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

function stubAddress(href: string): void {
  vi.stubGlobal('location', { href })
}

async function openTab(): Promise<Tab> {
  const page = new EventTarget()
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
  const stop = new AbortController()
  const tab: Tab = {
    outbox: createOutbox('main', stop.signal),
    hear: (key) => void page.dispatchEvent(Object.assign(new Event('storage'), { key })),
    close: () => stop.abort(),
  }
  tabs.push(tab)
  await vi.advanceTimersByTimeAsync(0)
  return tab
}

function change(n: number, size = 1, builtOn: readonly number[] = [], letter = 'x'): SignedChange {
  const id = `0x${n}` as const
  const prev = builtOn.map((counter) => ({ counter, id: `0x${counter}` }))
  const payload = JSON.stringify({ uuid: id, prev, patch: { a: letter.repeat(size) } })
  return { avatar: AVATAR, network: 'main', id, counter: n, payload, signature: '0x' }
}

const ids = (list: readonly SignedChange[]): string[] => list.map(({ id }) => id)

describe('what the host does not take', () => {
  it.each([
    { status: 'superseded' },
    { status: 'refused', retry: false, code: 'not_hosted', message: 'Not on the list.' },
    { status: 'refused', retry: false, code: 'blocked', message: 'Blocked.' },
    { status: 'invalid', code: 'x', message: 'Wrong.' },
    { status: 'something new' },
  ])('stays with its reason until the person decides, and is not sent by itself: $status $code', async (verdict) => {
    const first = await openTab()
    await first.outbox.add(change(1))
    first.close()
    answer = () => verdict

    const second = await openTab()
    expect(ids(second.outbox.waiting(AVATAR))).toEqual([])
    expect(second.outbox.declined(AVATAR)).toMatchObject([{ id: '0x1', isOnDisk: true, verdict }])
    second.close()

    const third = await openTab()
    expect(third.outbox.declined(AVATAR)).toMatchObject([{ ...change(1), verdict }])
    const before = requests
    await vi.advanceTimersByTimeAsync(60_000)
    expect(requests).toBe(before)
    third.outbox.discard('0x1')
    expect(third.outbox.declined(AVATAR)).toEqual([])
    expect(Object.keys(disk)).toEqual([])
  })

  it('is sent again when the person says so', async () => {
    const { outbox } = await openTab()
    answer = () => ({ status: 'refused', retry: false })
    await outbox.add(change(1))
    answer = () => ({ status: 'stored' })
    await outbox.sendAgain('0x1')
    expect([...outbox.declined(), ...outbox.waiting()]).toEqual([])
    expect(outbox.verdicts.get('0x1')).toEqual({ status: 'stored' })
    expect(Object.keys(disk)).toEqual([])
  })

  it('does not hold up what comes after it, nor what the host will take later', async () => {
    const { outbox } = await openTab()
    await outbox.add(change(1))
    await outbox.add(change(2))
    await outbox.add(change(3))
    const said: Record<string, Answer> = {
      '0x1': { status: 'invalid' },
      '0x2': { status: 'refused', retry: true },
      '0x3': { status: 'pending' },
    }
    answer = (id) => said[id]!
    await vi.advanceTimersByTimeAsync(4_000)
    expect(ids(outbox.declined())).toEqual(['0x1'])
    expect(ids(outbox.waiting())).toEqual(['0x2'])
    answer = () => ({ status: 'duplicate' })
    await vi.advanceTimersByTimeAsync(4_000)
    expect(ids(outbox.declined())).toEqual(['0x1'])
    expect(outbox.waiting()).toEqual([])
    expect(Object.keys(disk)).toEqual([KEY])
  })
})

describe('what builds on a change that the host does not take', () => {
  const stored = { status: 'stored' }

  it('stays too, though the host keeps it, and goes with that one once it is taken', async () => {
    const { outbox } = await openTab()
    for (const n of [1, 2, 3]) await outbox.add(change(n, 1, n === 1 ? [] : [n - 1]))
    const said: Record<string, Answer> = {
      '0x1': { status: 'refused', retry: false },
      '0x2': { status: 'pending' },
      '0x3': { status: 'duplicate' },
    }
    answer = (id) => said[id]!
    await vi.advanceTimersByTimeAsync(4_000)
    expect(outbox.waiting()).toEqual([])
    expect(outbox.declined().map(({ id, verdict }) => [id, verdict?.status])).toEqual([
      ['0x1', 'refused'],
      ['0x2', 'pending'],
      ['0x3', 'pending'],
    ])
    said['0x1'] = stored
    said['0x2'] = { status: 'duplicate' }
    await outbox.sendAgain('0x1')
    expect([...outbox.waiting(), ...outbox.declined()]).toEqual([])
    expect(Object.keys(disk)).toEqual([])
  })

  it('waits with one that the host will take later', async () => {
    const { outbox } = await openTab()
    await outbox.add(change(1))
    answer = (id) => (id === '0x1' ? { status: 'refused', retry: true } : { status: 'pending' })
    await outbox.add(change(2, 1, [1]))
    expect(ids(outbox.waiting())).toEqual(['0x1', '0x2'])
    answer = () => stored
    await vi.advanceTimersByTimeAsync(4_000)
    expect(outbox.waiting()).toEqual([])
  })

  it('stays when that one is discarded, and needs none of which a snapshot took the place', async () => {
    const { outbox } = await openTab()
    await outbox.add(change(1))
    await outbox.add(change(2, 1, [1]))
    await outbox.add(change(5))
    await outbox.add(change(6, 1, [5]))
    const said = ['invalid', 'pending', 'superseded', 'pending']
    answer = (id) => ({ status: said[['0x1', '0x2', '0x5', '0x6'].indexOf(id)] })
    await vi.advanceTimersByTimeAsync(4_000)
    expect(ids(outbox.declined())).toEqual(['0x1', '0x2', '0x5'])
    outbox.discard('0x1')
    answer = () => stored
    await outbox.add(change(7))
    expect(ids(outbox.declined())).toEqual(['0x2', '0x5'])
  })
})

describe('a host that does not take a request as a whole', () => {
  const status = (code: number): Response => new Response('<h1>No</h1>', { status: code })

  it('because of one in it (a proxy takes less than a node): the others are sent alone, and that one is told of', async () => {
    const { outbox } = await openTab()
    for (const n of [1, 2, 3]) await outbox.add(change(n, n === 2 ? 5_000 : 1))
    whole = (body) => (body.length > 5_000 ? status(413) : undefined)
    answer = () => ({ status: 'stored' })
    await vi.advanceTimersByTimeAsync(4_000)
    expect(outbox.waiting()).toEqual([])
    expect(outbox.declined()).toMatchObject([
      { id: '0x2', verdict: { message: expect.stringContaining('does not let so many bytes through') } },
    ])
  })

  it.each([403, 404, 429, 500, 503])('for now, with %i: all wait', async (code) => {
    const { outbox } = await openTab()
    whole = () => status(code)
    answer = () => ({ status: 'stored' })
    await outbox.add(change(1))
    expect(ids(outbox.waiting())).toEqual(['0x1'])
    whole = undefined
    await vi.advanceTimersByTimeAsync(4_000)
    expect(outbox.waiting()).toEqual([])
  })

  it.each([{}, { results: {} }, { results: [null] }, { results: [{}] }, null, 'text'])(
    'but with %j: all wait',
    async (said) => {
      const { outbox } = await openTab()
      whole = () => Response.json(said)
      answer = () => ({ status: 'stored' })
      await outbox.add(change(1))
      await vi.advanceTimersByTimeAsync(4_000)
      expect(ids(outbox.waiting())).toEqual(['0x1'])
    },
  )

  it('gets no more bytes at once than nodes take, in any script', async () => {
    const { outbox } = await openTab()
    for (let n = 1; n <= 30; n++) await outbox.add(change(n, 240_000, [], '漢'))
    const sizes: number[] = []
    whole = (body) => void sizes.push(Buffer.byteLength(body))
    answer = () => ({ status: 'stored' })
    await vi.advanceTimersByTimeAsync(4_000)
    expect(outbox.waiting()).toEqual([])
    expect(Math.max(...sizes)).toBeLessThan(16 * 1024 * 1024)
  })
})

describe('a full storage', () => {
  it('is told of, and what did not fit outlives what other pages write', async () => {
    PageStorage.quota = 5_000_000
    const tab = await openTab()
    const { outbox } = tab
    for (let n = 1; n <= 30; n++) await outbox.add(change(n, 240_000))
    const onDisk = outbox.waiting().filter(({ isOnDisk }) => isOnDisk)
    expect(outbox.waiting()).toHaveLength(30)
    expect(onDisk).toHaveLength(20)
    expect(Object.keys(disk)).toHaveLength(20)

    disk.setItem('avatar-kv.outbox.0x31', JSON.stringify(change(31)))
    tab.hear('avatar-kv.outbox.0x31')
    expect(ids(outbox.waiting())).toEqual(Array.from({ length: 31 }, (_, at) => `0x${at + 1}`))
  })

  it('is used again once there is room', async () => {
    PageStorage.quota = 300_000
    const { outbox } = await openTab()
    await outbox.add(change(1, 240_000))
    await outbox.add(change(2, 240_000))
    expect(outbox.waiting().map(({ isOnDisk }) => isOnDisk)).toEqual([true, false])
    outbox.discard('0x1')
    expect(outbox.waiting().map(({ isOnDisk }) => isOnDisk)).toEqual([true])
    expect(Object.keys(disk)).toEqual(['avatar-kv.outbox.0x2'])
  })

  it('loses no reason: a change whose reason does not fit is asked for again after the page was closed', async () => {
    const { outbox } = await openTab()
    await outbox.add(change(1))
    PageStorage.quota = 0
    answer = () => ({ status: 'invalid', message: 'Wrong.' })
    await vi.advanceTimersByTimeAsync(4_000)
    expect(outbox.declined()).toMatchObject([{ id: '0x1', isOnDisk: true }])
    expect(Object.keys(disk)).toEqual([KEY])
  })

  it('is no storage at all where the browser denies it', async () => {
    vi.stubGlobal('localStorage', undefined)
    const { outbox } = await openTab()
    await outbox.add(change(1))
    expect(outbox.waiting()).toMatchObject([{ id: '0x1', isOnDisk: false }])
  })
})

describe('hosts below different paths of one address', () => {
  it('share the storage of the browser, and leave the changes of each other alone', async () => {
    for (const href of ['https://kv.example/', 'https://kv.example/a/?host=x#/write', 'https://kv.example/a/b/']) {
      stubAddress(href)
      const tab = await openTab()
      expect(tab.outbox.waiting()).toEqual([])
      await tab.outbox.add(change(1))
      tab.close()
    }
    expect(Object.keys(disk)).toEqual(['avatar-kv.outbox.0x1', 'avatar-kv.outbox./a/0x1', 'avatar-kv.outbox./a/b/0x1'])
    answer = () => ({ status: 'stored' })
    const before = requests
    stubAddress('https://kv.example/a/')
    await openTab()
    expect(requests).toBe(before + 1)
    expect(Object.keys(disk)).toEqual(['avatar-kv.outbox.0x1', 'avatar-kv.outbox./a/b/0x1'])
  })
})

describe('an outbox of version 0.1', () => {
  it('is read where it is: what waits is sent, and what was declined keeps its reason', async () => {
    const common = `"network":"main","avatar":"0x02","signature":"0x"`
    disk.setItem(
      'avatar-kv.outbox.0x1',
      `{${common},"id":"0x1","counter":1,"payload":"{\\"uuid\\":\\"0x1\\",\\"prev\\":[],\\"patch\\":{}}"}`,
    )
    disk.setItem(
      'avatar-kv.outbox.0x2',
      `{${common},"id":"0x2","counter":2,"payload":"{\\"uuid\\":\\"0x2\\",\\"prev\\":[],\\"patch\\":{}}","verdict":{"id":null,"status":"refused","retry":false,"code":"not_hosted","message":"Not on my list."}}`,
    )
    answer = () => ({ status: 'stored' })
    const { outbox } = await openTab()
    expect(outbox.verdicts.get('0x1')).toEqual({ status: 'stored' })
    expect(outbox.declined()).toMatchObject([{ id: '0x2', isOnDisk: true, verdict: { message: 'Not on my list.' } }])
    await outbox.sendAgain('0x2')
    expect(Object.keys(disk)).toEqual([])
  })
})

describe('other pages of this host', () => {
  it('are followed: what they sign, send, discard, and what was said to them', async () => {
    const tab = await openTab()
    const { outbox } = tab
    const write = (value: Answer | SignedChange): void => {
      disk.setItem(KEY, JSON.stringify(value))
      tab.hear(KEY)
    }
    write(change(1))
    expect(ids(outbox.waiting())).toEqual(['0x1'])
    write({ ...change(1), verdict: { status: 'superseded' } })
    expect(ids(outbox.waiting())).toEqual([])
    expect(ids(outbox.declined())).toEqual(['0x1'])
    write(change(1))
    expect(ids(outbox.waiting())).toEqual(['0x1'])
    disk.removeItem(KEY)
    tab.hear(KEY)
    expect(outbox.find('0x1')).toBeUndefined()
    // Of another network, and no record at all.
    write({ ...change(1), network: 'test' })
    write({ id: '0x1', verdict: 1 })
    expect([...outbox.waiting(), ...outbox.declined()]).toEqual([])
  })

  it('that clear the storage take nothing from this one', async () => {
    const tab = await openTab()
    await tab.outbox.add(change(1))
    disk.removeItem(KEY)
    tab.hear(null)
    expect(tab.outbox.waiting()).toMatchObject([{ id: '0x1', isOnDisk: false }])
  })
})
