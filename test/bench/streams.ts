import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { writeBody } from '../support/api.ts'
import { createCluster } from '../support/cluster.ts'
import { drive, postRequest } from './http-load.ts'
import { presign } from './presign.ts'
import type { Bench, Row } from './report.ts'

const STREAMS = 1_024
const AVATARS = 200
const BATCH = 64
const PER_AVATAR = 64
/** Rounds with and without readers take turns, so that both meet the same machine; the first one warms up. */
const ROUNDS = 7

/**
 * Readers of event streams in a process of their own: each claims another address, as behind a proxy. They take little CPU,
 * since they share the machine with the node: one buffer for all, and of each chunk only the end is looked at. They say when all
 * streams have begun, and when all have the event with the last sequence.
 */
const READERS = `
import { connect } from 'node:net'
const [port, count, last] = process.argv.slice(1).map(Number)
const buffer = Buffer.allocUnsafe(1024 * 1024)
const END_BYTES = 400
let begun = 0
let done = 0
for (let n = 0; n < count; n++) {
  const client = '10.' + (n >> 16) + '.' + ((n >> 8) & 255) + '.' + (n & 255)
  let isBegun = false
  const callback = (length) => {
    if (!isBegun) {
      const head = buffer.latin1Slice(0, length)
      if (!head.startsWith('HTTP/1.1 200')) throw new Error(head)
      isBegun = true
      if (++begun === count) console.log('begun')
    }
    const isLast = buffer.latin1Slice(Math.max(0, length - END_BYTES), length).includes('-' + last + '\\nevent')
    if (isLast && ++done === count) console.log('done')
    return true
  }
  const socket = connect({ port, host: '127.0.0.1', onread: { buffer, callback } })
  socket.write('GET /v2/events HTTP/1.1\\r\\nhost: x\\r\\nx-forwarded-for: ' + client + '\\r\\n\\r\\n')
}
`

export const streams: Bench = {
  name: 'streams',
  about: `records of 460 bytes by HTTP, batches of ${BATCH}, with ${STREAMS} readers of all events and without`,
  async run() {
    const records = await presign({
      name: 'streams',
      avatars: AVATARS,
      perAvatar: PER_AVATAR * ROUNDS,
      payloadBytes: 460,
      keys: 10,
    })
    const cluster = await createCluster()
    try {
      const node = await cluster.start('streams')
      const port = Number(new URL(node.url).port)
      const cpuSeconds = async () => {
        const text = await (await fetch(`${node.url}/metrics`)).text()
        return Number(/^process_cpu_seconds_total ([\d.e+-]+)/m.exec(text)?.[1])
      }
      const perRound = AVATARS * PER_AVATAR
      const measured = { without: { wall: 0, cpu: 0, count: 0 }, with: { wall: 0, cpu: 0, count: 0 } }
      let behindMs = 0
      for (let round = 0; round < ROUNDS; round++) {
        const own = records.slice(round * perRound, (round + 1) * perRound)
        const requests: Buffer[] = []
        for (let start = 0; start < own.length; start += BATCH) {
          requests.push(postRequest('/v2/records', writeBody(own.slice(start, start + BATCH))))
        }
        const isWith = round % 2 === 0
        const readers = isWith ? await startReaders(port, (round + 1) * perRound) : undefined
        const before = await cpuSeconds()
        const { seconds } = await drive(port, [requests])
        const sum = isWith ? measured.with : measured.without
        const writtenAt = performance.now()
        await readers?.untilDone()
        const behind = performance.now() - writtenAt
        // What is sent later is of these writes too.
        const cpu = (await cpuSeconds()) - before
        await readers?.stop()
        if (round === 0) continue
        behindMs = Math.max(behindMs, behind)
        sum.wall += seconds
        sum.cpu += cpu
        sum.count += perRound
      }
      const each = ({ wall, cpu, count }: { wall: number; cpu: number; count: number }) => ({
        wall: (wall / count) * 1e6,
        cpu: (cpu / count) * 1e6,
      })
      const [alone, crowded] = [each(measured.without), each(measured.with)]
      const rows: Row[] = [
        { measure: 'without readers', value: alone.wall, unit: 'µs a record' },
        { measure: `with ${STREAMS} readers`, value: crowded.wall, unit: 'µs a record' },
        { measure: 'times slower', value: crowded.wall / alone.wall, unit: 'ratio' },
        { measure: 'without readers, CPU of the node', value: alone.cpu, unit: 'µs a record' },
        { measure: `with ${STREAMS} readers, CPU of the node`, value: crowded.cpu, unit: 'µs a record' },
        { measure: 'times the CPU', value: crowded.cpu / alone.cpu, unit: 'ratio' },
        { measure: 'until all readers have all, after the last write, at most', value: behindMs, unit: 'ms' },
      ]
      return rows
    } finally {
      await cluster.close()
    }
  },
}

/** @param last sequence of the last event that they will get */
async function startReaders(port: number, last: number) {
  const args = ['--input-type=module', '-e', READERS, ...[port, STREAMS, last].map(String)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const until = async (line: string) => {
    const { value } = await lines.next()
    if (value !== line) throw new Error('The readers of event streams have ended.')
  }
  await until('begun')
  return {
    untilDone: async () => await until('done'),
    async stop() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
