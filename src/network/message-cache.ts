/**
 * The messages of the last few heartbeats, from which gossipsub advertises (IHAVE) and answers requests (IWANT). It replaces
 * gossipsub's own cache, which has no bound in bytes and lets a peer request all of it at once. The answer is one frame, and a
 * frame above the receiver's limit ends gossip between the two; a request of a few kilobytes could cause gigabytes.
 *
 * Guarantees: at most `maxBytes` of message data are kept, the oldest go first; at most `answerBytes` and `answerMessages`
 * are advertised at a time, and sent to one peer between two heartbeats. Sync brings what is not served.
 */

/** The members of a gossipsub message that the cache uses. */
export interface CachedMessage {
  readonly topic: string
  readonly data?: Uint8Array | undefined
}

interface MessageId {
  readonly msgId: Uint8Array
  readonly msgIdStr: string
}

interface Entry extends MessageId {
  readonly message: CachedMessage
  readonly bytes: number
  readonly heartbeat: number
  /** How often each peer asked for it; gossipsub stops answering at 3. */
  readonly requests: Map<string, number>
}

export interface MessageCacheLimits {
  /** Message data kept, in bytes. */
  readonly maxBytes: number
  /** Heartbeats for which a message is kept. */
  readonly heartbeats: number
  /** Heartbeats for which a message is advertised: fewer, so that what is asked for is still there. */
  readonly advertised: number
  /** Bytes advertised at a time and given to one peer between two heartbeats. */
  readonly answerBytes: number
  /** The same, in messages. */
  readonly answerMessages: number
}

/**
 * The part of gossipsub's `MessageCache` (version 17) that the router calls.
 *
 * @param idText the same text form of message ids that the router is given
 * @param onDuplicate called for each message that a peer sent and that was seen before
 */
export function createMessageCache(
  limits: MessageCacheLimits,
  idText: (msgId: Uint8Array) => string,
  onDuplicate: (peer: string) => void = () => {},
) {
  // Oldest first: a Map keeps the order of insertion.
  const entries = new Map<string, Entry>()
  const given = new Map<string, { bytes: number; messages: number }>()
  let heartbeat = 0
  let totalBytes = 0

  function forget(entry: Entry): void {
    entries.delete(entry.msgIdStr)
    totalBytes -= entry.bytes
  }

  function record(msgIdStr: string): { message: CachedMessage; originatingPeers: Set<string> } | null {
    const entry = entries.get(msgIdStr)
    return entry === undefined ? null : { message: entry.message, originatingPeers: new Set() }
  }

  return {
    msgs: entries,
    get size() {
      return entries.size
    },
    // Messages come here only once they are validated.
    notValidatedCount: 0,
    put({ msgId, msgIdStr }: MessageId, message: CachedMessage): boolean {
      const bytes = message.data?.byteLength ?? 0
      if (entries.has(msgIdStr) || bytes > limits.answerBytes) return false
      entries.set(msgIdStr, { msgId, msgIdStr, message, bytes, heartbeat, requests: new Map() })
      totalBytes += bytes
      for (const oldest of entries.values()) {
        if (totalBytes <= limits.maxBytes) break
        forget(oldest)
      }
      return true
    },
    observeDuplicate: (_msgIdStr: string, peer: string) => onDuplicate(peer),
    get: (msgId: Uint8Array) => entries.get(idText(msgId))?.message,
    getWithIWantCount(msgIdStr: string, peer: string) {
      const entry = entries.get(msgIdStr)
      if (entry === undefined) return null
      const sum = given.get(peer) ?? { bytes: 0, messages: 0 }
      if (sum.bytes + entry.bytes > limits.answerBytes || sum.messages >= limits.answerMessages) return null
      given.set(peer, { bytes: sum.bytes + entry.bytes, messages: sum.messages + 1 })
      const count = (entry.requests.get(peer) ?? 0) + 1
      entry.requests.set(peer, count)
      return { msg: entry.message, count }
    },
    getGossipIDs(topics: ReadonlySet<string>) {
      const ids = new Map<string, Uint8Array[]>()
      let bytes = 0
      let messages = 0
      for (const entry of [...entries.values()].reverse()) {
        if (heartbeat - entry.heartbeat >= limits.advertised) break
        if (!topics.has(entry.message.topic)) continue
        bytes += entry.bytes
        messages += 1
        if (bytes > limits.answerBytes || messages > limits.answerMessages) break
        const list = ids.get(entry.message.topic)
        if (list === undefined) ids.set(entry.message.topic, [entry.msgId])
        else list.push(entry.msgId)
      }
      return ids
    },
    shift() {
      heartbeat += 1
      given.clear()
      for (const oldest of entries.values()) {
        if (heartbeat - oldest.heartbeat < limits.heartbeats) break
        forget(oldest)
      }
    },
    validate: record,
    remove(msgIdStr: string) {
      const found = record(msgIdStr)
      const entry = entries.get(msgIdStr)
      if (entry !== undefined) forget(entry)
      return found
    },
  }
}
