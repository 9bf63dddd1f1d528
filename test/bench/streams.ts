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

/** Readers of event streams in a process of their own: each claims another address, as behind a proxy. */
const READERS = `
import { connect } from 'node:net'
const [port, count] = process.argv.slice(1).map(Number)
let begun = 0
for (let n = 0; n < count; n++) {
  const socket = connect(port, '127.0.0.1')
  const client = '10.' + (n >> 16) + '.' + ((n >> 8) & 255) + '.' + (n & 255)
  socket.write('GET /v2/events HTTP/1.1\\r\\nhost: x\\r\\nx-forwarded-for: ' + client + '\\r\\n\\r\\n')
  socket.once('data', (head) => {
    if (!String(head).startsWith('HTTP/1.1 200')) throw new Error(String(head))
    if (++begun === count) console.log('ready')
  })
  socket.resume()
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
      for (let round = 0; round < ROUNDS; round++) {
        const own = records.slice(round * perRound, (round + 1) * perRound)
        const requests: Buffer[] = []
        for (let start = 0; start < own.length; start += BATCH) {
          requests.push(postRequest('/v2/records', writeBody(own.slice(start, start + BATCH))))
        }
        const isWith = round % 2 === 0
        const readers = isWith ? await startReaders(port) : undefined
        const before = await cpuSeconds()
        const { seconds } = await drive(port, [requests])
        const sum = isWith ? measured.with : measured.without
        const cpu = (await cpuSeconds()) - before
        readers?.kill('SIGKILL')
        if (round === 0) continue
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
      ]
      return rows
    } finally {
      await cluster.close()
    }
  },
}

async function startReaders(port: number) {
  const readers = spawn(process.execPath, ['--input-type=module', '-e', READERS, String(port), String(STREAMS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await Promise.race([once(createInterface(readers.stdout), 'line'), once(readers, 'exit')])
  return readers
}
