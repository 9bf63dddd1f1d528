import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster, type Cluster } from '../support/cluster.ts'
import { cite, createWriter, type Written } from '../support/writer.ts'

const RECORDS = 240
const VALUE_BYTES = 20_000
/** A log of LevelDB would grow to 16 MiB; the tables that are made of one this small stay far below it. */
const MAX_FILE_BYTES = 1_000_000

let cluster: Cluster
beforeAll(async () => {
  cluster = await createCluster()
})
afterAll(async () => await cluster.close())

test('a node whose disk refuses writes takes them again afterwards, and loses none that it acknowledged', async () => {
  const node = await cluster.start('failing', { maxFileBytes: MAX_FILE_BYTES })
  const writer = createWriter('failing disk')
  let refused = 0
  let last: Written | undefined
  for (let n = 1; n <= RECORDS; n++) {
    const record = writer.write({ n, text: 'x'.repeat(VALUE_BYTES) }, last && { prev: cite(last) })
    // "What was sent may be on disk or not: send it again."
    for (let attempt = 0; ; attempt++) {
      try {
        const [result] = await node.api.write([record])
        expect(['stored', 'duplicate']).toContain(result?.status)
        break
      } catch (error) {
        refused += 1
        expect(String(error)).toMatch(/503/)
        expect(attempt).toBeLessThan(3)
      }
    }
    // Reads go on.
    expect((await node.api.avatar(writer.avatar))?.head).toBe(n)
    last = record
  }
  expect(refused).toBeGreaterThanOrEqual(3)

  await node.kill()
  await node.restart({})
  const answer = await node.api.avatar(writer.avatar)
  expect(answer).toMatchObject({ head: RECORDS, pending: 0 })
  expect(await node.api.recordIds(writer.avatar)).toHaveLength(RECORDS)
  expect(await node.api.status()).toMatchObject({ avatars: 1, records: RECORDS })
})
