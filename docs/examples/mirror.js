/**
 * Mirrors a community's avatars: keeps what each one has signed as a JSON file, checked here, and follows changes.
 *
 *   node mirror.js --list community.txt --to mirror --node https://kv.example.org --node https://kv.example.net
 *
 * `community.txt` has one avatar a line; a `#` starts a comment. With `--once` it ends when all are written.
 * Needs Node 20.19 and the package avatar-kv. Everything is verified before it is written.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createClient, parseAvatar } from '@avatar-kv/client'

const { values } = parseArgs({
  options: {
    list: { type: 'string' },
    to: { type: 'string', default: 'mirror' },
    node: { type: 'string', multiple: true, default: ['http://127.0.0.1:4381'] },
    once: { type: 'boolean', default: false },
  },
})
if (values.list === undefined) {
  console.error(`Mirrors avatars: saves each one's signed data as a JSON file, verified here, and follows changes.

  node mirror.js --list community.txt [--to mirror] [--node http://127.0.0.1:4381]... [--once]

  --list FILE  the avatars, one a line; a # starts a comment. For one: echo 0x02b4... > community.txt
  --to DIR     where the JSON files go (default: mirror)
  --node URL   a node to ask; may be repeated (default: http://127.0.0.1:4381)
  --once       end when all are written`)
  process.exit(2)
}

const lines = (await readFile(values.list, 'utf8')).split('\n').map((line) => line.replace(/#.*/, '').trim())
const avatars = new Set(lines.filter((line) => line !== '').map((line) => parseAvatar(line)))
await mkdir(values.to, { recursive: true })

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())
const client = createClient({ nodes: values.node, signal: stop.signal })

/** An older state, or one with a gap, never replaces a whole one. */
async function keep(verified) {
  const { avatar, state, head, digest, namespaces, problems } = verified
  for (const { message } of problems) console.error(`${avatar}: ${message}`)
  if (state === 'missing') return console.error(`${avatar}: not written, records are missing`)
  const file = join(values.to, `${avatar}.json`)
  // A node that is behind, or has lost its data, is no reason to lose ours.
  if (head < (await headIn(file))) return console.error(`${avatar}: not written, the file is newer`)
  // Whole or not at all: a reader of the file never sees half of it.
  await writeFile(`${file}.new`, `${JSON.stringify({ avatar, head, digest, namespaces }, null, 2)}\n`)
  await rename(`${file}.new`, file)
  console.log(`${avatar}: head ${head}, ${verified.records} signatures checked`)
}

async function headIn(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8')).head
  } catch (error) {
    if (error.code === 'ENOENT') return 0
    throw error
  }
}

async function mirror(avatar) {
  if (values.once) return await keep(await client.getVerified(avatar))
  // The state comes first, and then every change exactly once; lost connections are made again.
  for await (const event of client.watch(avatar)) {
    if (event.type === 'state' || event.type === 'change') await keep(event.state)
    else if (event.type === 'connection' && event.status === 'lost' && !stop.signal.aborted)
      console.error(`${avatar}: ${event.message}`)
  }
}

const results = await Promise.allSettled([...avatars].map((avatar) => mirror(avatar)))
for (const { reason } of results.filter(({ status }) => status === 'rejected')) {
  if (stop.signal.aborted) break
  console.error(String(reason))
  process.exitCode = 1
}
