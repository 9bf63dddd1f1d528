import { afterEach, expect, test } from 'vitest'

import { decodeBatch, encodeBatch } from '../../src/record/codec.ts'
import { sleep, until } from '../support/until.ts'
import { addressOf, judged, meshed, record, startNode, stopAll, testIngest } from './nodes.ts'
import { startStranger } from './stranger.ts'

afterEach(stopAll)

test('a gossip stream that a peer drops is opened again', async () => {
  const node = await startNode({ limits: { repairIntervalMs: 100 } })
  const stranger = await startStranger(node)
  node.network.publish([record('stored:before')])
  await until(() => stranger.received.length === 1, 'the first message has arrived')
  const streams = stranger.inboundGossip()
  expect(streams.length).toBe(1)
  for (const stream of streams) stream.abort(new Error('dropped'))
  await until(() => stranger.inboundGossip().some((stream) => !streams.includes(stream)), 'there is another stream')
  let tries = 0
  await until(() => {
    // Lost, as gossip may be, until the stranger's subscription is known again.
    node.network.publish([record(`stored:after:${(tries += 1)}`)])
    return stranger.received.length > 1
  }, 'a later message has arrived')
  const texts = decodeBatch(stranger.received[1] ?? new Uint8Array()).map(({ payload }) =>
    Buffer.from(payload).toString(),
  )
  expect(texts[0]).toMatch(/^stored:after:/)
})

test('a peer that does not read costs bounded memory and does not keep the others from hearing', async () => {
  const node = await startNode()
  const witness = await startNode({ peers: [addressOf(node)] })
  await meshed(node, witness)
  const stranger = await startStranger(node)
  const streams = stranger.inboundGossip()
  expect(streams.length).toBe(1)
  for (const stream of streams) stream.pause()
  const texts = Array.from({ length: 100 }, (_, index) => `stored:${index}:${'x'.repeat(250_000)}`)
  node.network.publish(texts.map(record))
  await until(() => witness.ingest.payloads.length === texts.length, 'the witness has all 25 MB')
  // The stream was dropped on our side when 8 MiB were waiting.
  await until(() => streams.every(({ status }) => status !== 'open'), 'the stream is dropped')
  expect(stranger.received.length).toBeLessThan(20)
})

test('a peer that sends faster than records are stored is slowed down; none of its messages is lost', async () => {
  const ingest = testIngest()
  const { submit } = ingest
  let running = 0
  let mostRunning = 0
  let mostWaitingBytes = 0
  ingest.submit = async function slowly(...args) {
    running += 1
    mostRunning = Math.max(mostRunning, running)
    // Slower than any sender at first, so that messages pile up on every machine.
    do await sleep(25)
    while (mostWaitingBytes < 500_000)
    running -= 1
    return submit.apply(this, args)
  }
  const node = await startNode({ ingest })
  const stranger = await startStranger(node)
  const look = async (): Promise<void> => {
    const { text } = await node.metrics.expose()
    mostWaitingBytes = Math.max(mostWaitingBytes, Number(/gossip_waiting_bytes (\d+)/.exec(text)?.[1]))
  }
  const watch = setInterval(() => void look(), 20)
  const count = 1500
  for (let index = 0; index < count; index += 1) {
    await stranger.send(encodeBatch([record(`stored:${index}:${'x'.repeat(20_000)}`)]))
  }
  const verdicts = await judged(node, count)
  clearInterval(watch)
  expect(verdicts).toEqual({ accept: count })
  expect(mostRunning).toBeLessThanOrEqual(16)
  // Of 30 MB: what makes us pause, what was under way (a window), and a frame.
  expect(mostWaitingBytes).toBeLessThan(4_000_000)
})

test('a flood of tiny messages from one peer leaves room for another', async () => {
  const ingest = testIngest()
  const { submit } = ingest
  ingest.submit = async function slowly(...args) {
    await sleep(20)
    return submit.apply(this, args)
  }
  const node = await startNode({ ingest })
  const flooder = await startStranger(node)
  const other = await startStranger(node)
  const end = new AbortController()
  let sent = 0
  const flood = (async () => {
    while (!end.signal.aborted) {
      for (let index = 0; index < 200; index += 1) await flooder.send(encodeBatch([record(`duplicate:${(sent += 1)}`)]))
      await sleep(1)
    }
  })()
  await until(() => sent - ingest.payloads.length > 2000, 'many messages of the flood wait')
  const before = ingest.payloads.length
  await other.send(encodeBatch([record('stored:the other')]))
  await until(() => ingest.payloads.includes('stored:the other'), 'the other is heard')
  end.abort()
  await flood
  // In order of arrival it would come after all of those that wait.
  expect(ingest.payloads.indexOf('stored:the other') - before).toBeLessThan(1000)
})

test('a flood of messages that bring nothing is slowed down, remembered within bounds, and heard to the end', async () => {
  const flooded = await startNode({
    limits: { messageRate: { burst: 100, refillMs: 10, longestPauseMs: 1000 }, rememberedMessages: 80 },
  })
  const stranger = await startStranger(flooded)
  const other = await startNode({ peers: [addressOf(flooded)] })
  await meshed(flooded, other)
  const total = 1000
  const begin = performance.now()
  // More than the window of a stream, so that a pause holds some back.
  const filler = 'x'.repeat(4096)
  for (let count = 0; count < total; count += 1)
    await stranger.send(encodeBatch([record(`duplicate:${count}${filler}`)]))
  other.network.publish([record('stored:meanwhile')])
  await until(() => flooded.ingest.payloads.includes('stored:meanwhile'), 'the other is heard')
  await judged(flooded, total + 1)
  // 4 MB are some windows of a stream, and after each comes a pause of about a second.
  expect(performance.now() - begin).toBeGreaterThan(900)
  const { text } = await flooded.metrics.expose()
  const remembered = Number(/^avatar_kv_gossip_remembered_messages (\d+)$/m.exec(text)?.[1])
  expect(remembered).toBeGreaterThan(0)
  expect(remembered).toBeLessThanOrEqual(81)
})
