import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect } from 'vitest'

import { recordDigest } from '../../src/record/id.ts'
import { OWN_PLATFORM } from '../../src/record/members.ts'
import type { Avatar, Citation, RecordId } from '../../src/record/types.ts'
import type { NodeProcess } from '../support/cluster.ts'
import { cite, createWriter } from '../support/writer.ts'
import type { Writer, Written } from '../support/writer.ts'

const MAIN = join(process.cwd(), 'dist/main.js')
const RECORDS_PER_POST = 500
/** Every so many patches two are written at once, and the next one cites both. */
const FORK_EVERY = 50
/** Forks that stay open. */
const OPEN_FORKS = 3
const PENDING = 5

const bindings = createRequire(import.meta.url)('secp256k1/bindings.js') as {
  ecdsaSign(digest: Uint8Array, secretKey: Uint8Array): { signature: Uint8Array; recid: number }
}

/** An avatar as one meets them: accounts, forks, and records that wait for one that nobody has. */
export interface House {
  readonly avatar: Avatar
  readonly writer: Writer
  readonly name: string
  /** What its author gave to a host, in order. */
  readonly records: readonly Written[]
  /** What a write on top of it all cites. */
  readonly tips: readonly Citation[]
  /** Never given to anyone. */
  readonly lost: Written
}

/** Signs an avatar of `count` patches in 4 namespaces. The same name gives the same one. */
export function buildHouse(name: string, count: number): House {
  const writer = createWriter(name)
  const namespaces = [
    { platform: OWN_PLATFORM, identity: writer.avatar },
    { platform: 'twitter', identity: 'Alice' },
    { platform: 'github', identity: 'alice' },
    { platform: 'ethereum', identity: '0x71c7656ec7ab88b098defb751b7401b5f6d8976f' },
  ]
  const records: Written[] = []
  let tips: Citation[] = []
  const write = (prev: readonly Citation[]): Written => {
    const at = records.length
    const record = writer.write({ [`key ${at % 40}`]: at, last: at }, { prev, ...namespaces[at % 4] })
    records.push(record)
    return record
  }
  while (records.length < count - OPEN_FORKS - PENDING - 1) {
    const isFork = records.length % FORK_EVERY === 0 && records.length > 0
    tips = cite(...(isFork ? [write(tips), write(tips)].toSorted((a, b) => (a.id < b.id ? -1 : 1)) : [write(tips)]))
  }
  const lost = writer.write({ lost: true }, { prev: tips })
  let waiting: readonly Citation[] = cite(lost)
  for (let at = 0; at < PENDING; at += 1) waiting = cite(write(waiting))
  const forks = Array.from({ length: count - records.length }, () => write(tips))
  tips = cite(...forks.toSorted((a, b) => (a.id < b.id ? -1 : 1)))
  return { avatar: writer.avatar, writer, name, records, tips, lost }
}

/** Gives records to a node; all must be kept. */
export async function moveIn(node: NodeProcess, records: readonly Written[]): Promise<void> {
  for (let start = 0; start < records.length; start += RECORDS_PER_POST) {
    const results = await node.api.write(records.slice(start, start + RECORDS_PER_POST))
    const odd = results.filter(({ status }) => status !== 'stored' && status !== 'pending' && status !== 'duplicate')
    expect(odd).toEqual([])
  }
}

/** Ids of all records that a node has of an avatar, in their order. */
export async function inventory(node: NodeProcess, avatar: Avatar): Promise<RecordId[]> {
  return (await node.api.recordIds(avatar)).toSorted()
}

/** A command under way in a process of its own. */
export interface Command {
  readonly pid: number
  readonly out: () => string
  readonly err: () => string
  readonly isRunning: () => boolean
  signal(name: 'SIGINT' | 'SIGKILL'): void
  /** Resolves to the exit code once it has ended; null where it was killed. */
  ended(): Promise<number | null>
}

/** Runs the built command line in a folder, which also has its temporary files. */
export function command(args: readonly string[], cwd: string): Command {
  // What a killed one leaves behind is then removed with the test's folder.
  const env = { ...process.env, TMPDIR: cwd }
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const closed = once(child, 'close')
  return {
    pid: child.pid ?? -1,
    out: () => out,
    err: () => err,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    signal: (name) => void child.kill(name),
    async ended() {
      await closed
      return child.exitCode
    },
  }
}

/** Runs a command to its end, which must be good, and returns what it prints. */
export async function done(args: readonly string[], cwd: string): Promise<string> {
  const running = command(args, cwd)
  const code = await running.ended()
  if (code !== 0) throw new Error(`avatar-kv ${args.join(' ')} ended with ${code}:\n${running.err()}`)
  return running.out()
}

/** A write as an unmodified client of version 1 makes it: asks for a payload, signs it as a wallet does, hands it in. */
export async function writeAsVersion1(
  url: string,
  house: House,
  write: { readonly platform: string; readonly identity: string; readonly patch: object },
): Promise<{ platform: string; identity: string; content: Record<string, unknown> }[]> {
  const secretKey = createHash('sha256').update(`test writer ${house.name}`).digest()
  const post = (path: string, body: object): Promise<Response> =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain;charset=UTF-8' },
      body: JSON.stringify(body),
    })
  const asked = await post('/v1/kv/payload', { avatar: house.avatar, ...write })
  expect(asked.status).toBe(200)
  const payload = (await asked.json()) as { uuid: string; created_at: number; sign_payload: string }
  const digest = recordDigest(new TextEncoder().encode(payload.sign_payload))
  const { signature, recid } = bindings.ecdsaSign(digest, secretKey)
  const handed = await post('/v1/kv', {
    avatar: house.avatar,
    ...write,
    uuid: payload.uuid,
    created_at: payload.created_at,
    signature: Buffer.from([...signature, 27 + recid]).toString('base64'),
  })
  expect(handed.status).toBe(201)
  return (
    (await handed.json()) as { proofs: { platform: string; identity: string; content: Record<string, unknown> }[] }
  ).proofs
}
