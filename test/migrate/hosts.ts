import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'

import { run, type Outcome } from '../cli/run.ts'
import { startHttpNode, type HttpNode, type NodeOptions } from '../http/node.ts'
import { newKey, postRecords, signedPatch, type Written } from '../http/writer.ts'
import type { TestKey } from '../oracle/signing.ts'
import { startTamperer, type Tamperer, type Tampering } from './tamper.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** A node with the whole HTTP interface and an empty store, closed after the test. */
export async function openNode(options: NodeOptions = {}): Promise<HttpNode> {
  const node = await startHttpNode(options)
  closing.push(() => node.close())
  return node
}

/** The same with a liar in front. */
export async function openTamperer(node: HttpNode, tampering: Tampering): Promise<Tamperer> {
  const tamperer = await startTamperer(node, tampering)
  closing.push(() => tamperer.close())
  return tamperer
}

export async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-test-'))
  closing.push(() => rm(folder, { recursive: true }))
  return folder
}

/** A chain of patches of one avatar, in the namespace of an account. */
export function chain(key: TestKey, count: number, name = 'a'): Written[] {
  const written: Written[] = []
  for (let at = 0; at < count; at += 1) {
    const prev = written.slice(-1).map(({ citation }) => citation)
    written.push(signedPatch(key, { prev, patch: { [`${name}${at}`]: at, last: at } }))
  }
  return written
}

/** An avatar with a history at a node. */
export async function seeded(node: HttpNode, count: number): Promise<{ key: TestKey; records: Written[] }> {
  const key = newKey()
  const records = chain(key, count)
  await give(node, records)
  return { key, records }
}

export async function give(node: HttpNode, records: readonly Written[]): Promise<void> {
  const { status, body } = await postRecords(node, records)
  expect(status).toBe(200)
  const results = (body as { results: { status: string }[] }).results
  expect(results.filter((result) => result.status !== 'stored' && result.status !== 'pending')).toEqual([])
}

export function migrate(from: string, to: string, avatar: string, ...more: string[]): Promise<Outcome> {
  return run(['migrate', avatar, '--from', from, '--to', to, ...more], { cwd: tmpdir() })
}

/** What a node shows of an avatar; undefined if it does not know it. */
export async function shown(node: HttpNode, avatar: string): Promise<Record<string, unknown> | undefined> {
  const { status, body } = await node.json(`/v2/avatars/${avatar}`)
  return status === 404 ? undefined : (body as Record<string, unknown>)
}

export const url = (node: HttpNode): string => node.url('')
