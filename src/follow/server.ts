/**
 * Serves followers: sends each of them the new records of the avatars that it follows.
 *
 * Guaranteed: streams, followed avatars and queued bytes are bounded, with a share for each host; a follower that is slow loses
 * records, is told so, and costs nobody else anything. Not guaranteed: that a record arrives. Sync guarantees that.
 */
import { messageOf } from '../platform/errors.ts'
import type { Environment } from '../platform/environment.ts'
import type { Metrics } from '../observe/types.ts'
import { encodedBytes } from '../record/codec.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { Shares } from '../shares/shares.ts'
import type { FrameStream, SyncTransport } from '../sync/types.ts'
import { FollowError } from './errors.ts'
import { bitsOf, decodeFollowFrame, encodeFollowFrame } from './frames.ts'
import * as limits from './limits.ts'

interface Follower {
  readonly stream: FrameStream
  avatars: readonly Avatar[]
  queue: SignedRecord[]
  queuedBytes: number
  isSending: boolean
  hasMissed: boolean
}

export interface FollowServerComponents {
  readonly transport: Pick<SyncTransport, 'hostOf' | 'penalize'>
  /** Whether this node keeps an avatar. */
  readonly hosts: (avatar: Avatar) => boolean
  readonly avatarOf: (payload: Uint8Array) => Avatar | undefined
  readonly environment: Pick<Environment, 'timers'>
  readonly metrics: Pick<Metrics, 'stranger' | 'gauge'>
}

export function createFollowServer(components: FollowServerComponents, { network }: { readonly network: string }) {
  const { transport, hosts, avatarOf, environment, metrics } = components
  const { timers } = environment
  const streams = new Shares(limits.SERVED_STREAMS)
  const avatars = new Shares(limits.SERVED_AVATARS)
  const followers = new Map<Avatar, Set<Follower>>()
  metrics.gauge('follow_streams_served', 'Streams over which peers follow avatars here.', () => streams.count)
  metrics.gauge('follow_avatars_served', 'Avatars that peers follow here, counted for each peer.', () => avatars.used)

  function setList(follower: Follower, list: readonly Avatar[]): void {
    for (const avatar of follower.avatars) {
      const all = followers.get(avatar)
      all?.delete(follower)
      if (all?.size === 0) followers.delete(avatar)
    }
    follower.avatars = list
    for (const avatar of list) followers.set(avatar, (followers.get(avatar) ?? new Set()).add(follower))
  }

  async function serve(peer: string, stream: FrameStream): Promise<void> {
    const source = transport.hostOf(peer)
    const place = streams.take(source, 1)
    const follower: Follower = { stream, avatars: [], queue: [], queuedBytes: 0, isSending: false, hasMissed: false }
    let room: { grow(units: number): unknown; release(): void } | undefined
    try {
      if (typeof place === 'string') throw new FollowError('full', 'No more follow streams are taken now.')
      for (;;) {
        const bytes = await stream.receive()
        if (bytes === null) return await stream.close()
        const frame = decodeFollowFrame(bytes)
        if (frame.kind !== 'follow')
          throw new FollowError(
            'bad_message',
            'A peer broke the rules of the follow protocol: a follower sends only lists of avatars.',
          )
        if (frame.network !== network) throw new FollowError('full', `This node is of the network ${network}.`)
        setList(follower, [])
        room?.release()
        room = undefined
        if (frame.avatars.length > 0) {
          const taken = avatars.take(source, frame.avatars.length)
          if (typeof taken === 'string') throw new FollowError('full', 'No more avatars can be followed here now.')
          room = taken
        }
        setList(follower, frame.avatars)
        await stream.send(encodeFollowFrame({ kind: 'following', common: bitsOf(frame.avatars, hosts) }))
        await new Promise<void>((resolve) => void timers.after(limits.LIST_INTERVAL_MS, resolve))
      }
    } catch (error) {
      if (error instanceof FollowError) {
        if (error.code === 'bad_message') transport.penalize(peer, error.code)
        else metrics.stranger('follow', error.code)
      }
      stream.abort(error instanceof Error ? error : new Error(messageOf(error)))
    } finally {
      setList(follower, [])
      follower.queue = []
      follower.queuedBytes = 0
      room?.release()
      if (typeof place !== 'string') place.release()
    }
  }

  function enqueue(follower: Follower, record: SignedRecord): void {
    const bytes = encodedBytes(record)
    if (follower.queuedBytes + bytes > limits.MAX_QUEUED_BYTES) {
      follower.queue = []
      follower.queuedBytes = 0
      follower.hasMissed = true
      metrics.stranger('follow', 'missed')
      return
    }
    follower.queue.push(record)
    follower.queuedBytes += bytes
    schedule(follower)
  }

  function schedule(follower: Follower): void {
    if (follower.isSending) return
    follower.isSending = true
    timers.after(limits.GATHER_MS, () => {
      send(follower)
        .catch((error: unknown) => follower.stream.abort(error instanceof Error ? error : new Error(messageOf(error))))
        .finally(() => {
          follower.isSending = false
          if (follower.queue.length > 0 && followers.size > 0) schedule(follower)
        })
    })
  }

  async function send(follower: Follower): Promise<void> {
    while (follower.queue.length > 0 || follower.hasMissed) {
      if (follower.hasMissed) {
        follower.hasMissed = false
        await sendInTime(follower, encodeFollowFrame({ kind: 'missed' }))
        continue
      }
      const records: SignedRecord[] = []
      let bytes = 0
      for (const record of follower.queue) {
        const size = encodedBytes(record)
        if (records.length > 0 && (bytes + size > limits.FRAME_BYTES || records.length >= limits.FRAME_RECORDS)) break
        records.push(record)
        bytes += size
      }
      follower.queue.splice(0, records.length)
      follower.queuedBytes -= bytes
      await sendInTime(follower, encodeFollowFrame({ kind: 'records', records }))
    }
  }

  async function sendInTime({ stream }: Follower, frame: Uint8Array): Promise<void> {
    const late = new FollowError('too_slow', 'The follower took nothing for too long.')
    const cancel = timers.after(limits.SEND_MS, () => stream.abort(late))
    await stream.send(frame).finally(cancel)
  }

  return {
    serve: (peer: string, stream: FrameStream): void => void serve(peer, stream),
    /** Sends new records to the peers that follow their avatars. Never throws. */
    push(records: readonly SignedRecord[]): void {
      if (followers.size === 0) return
      for (const record of records) {
        const avatar = avatarOf(record.payload)
        const all = avatar === undefined ? undefined : followers.get(avatar)
        for (const follower of all ?? []) enqueue(follower, record)
      }
    },
  }
}
