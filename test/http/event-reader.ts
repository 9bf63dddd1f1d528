import { get } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'

import { PATIENCE_MS } from '../support/until.ts'

export interface ReceivedEvent {
  readonly id: string
  readonly event: string
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any
}

export interface EventReader {
  readonly events: ReceivedEvent[]
  /** The last id received, with an event or without. */
  lastId(): string
  /** What came first, as text. */
  head(): string
  readonly response: IncomingMessage
  /** Resolves once there are `count` events. Rejects once the wait is longer than a busy machine explains. */
  until(count: number): Promise<ReceivedEvent[]>
  /** Resolves once the server has ended or cut the stream. */
  readonly ended: Promise<void>
  close(): void
}

/** Reads server-sent events as a browser does (WHATWG HTML, "Interpreting an event stream"). */
export function readEvents(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
  return new Promise((resolve, reject) => {
    const request: ClientRequest = get(url, { headers, agent: false }, (response) => {
      const events: ReceivedEvent[] = []
      const waiting = new Set<() => void>()
      let head = ''
      let rest = ''
      let lastId = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        if (head.length < 1000) head += chunk
        const frames = (rest + chunk).split('\n\n')
        rest = frames.pop() ?? ''
        for (const frame of frames) {
          const fields = new Map(frame.split('\n').map(fieldOf))
          lastId = fields.get('id') ?? lastId
          const data = fields.get('data')
          if (data === undefined) continue
          events.push({ id: lastId, event: fields.get('event') ?? 'message', data: JSON.parse(data) })
        }
        for (const check of waiting) check()
      })
      const ended = new Promise<void>((done) => {
        response.on('close', done)
        response.on('error', () => done())
      })
      resolve({
        events,
        response,
        ended,
        lastId: () => lastId,
        head: () => head,
        until: (count) =>
          new Promise((done, fail) => {
            const timer = setTimeout(() => fail(new Error(`${events.length} of ${count} events`)), PATIENCE_MS)
            const check = () => {
              if (events.length < count) return
              waiting.delete(check)
              clearTimeout(timer)
              done(events)
            }
            waiting.add(check)
            check()
          }),
        close: () => request.destroy(),
      })
    })
    request.on('error', reject)
  })
}

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trimStart()]
}
