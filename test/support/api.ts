import type { Avatar, Citation, JsonObject, RecordId, SignedRecord } from '../../src/record/types.ts'

/** What `POST /v2/records` says of one record. */
export interface WriteResult {
  readonly id: RecordId | null
  readonly status: string
  readonly code?: string
  readonly message?: string
  readonly retry?: boolean
}

/** `GET /v2/avatars/{avatar}`, as far as the tests read it. */
export interface AvatarAnswer {
  readonly head: number
  readonly tips: readonly Citation[]
  readonly tips_total: number
  readonly base: Citation | null
  readonly digest: string
  readonly pending: number
  readonly missing: { readonly total: number; readonly ids: readonly RecordId[] }
  readonly namespaces: readonly { platform: string; identity: string; content: JsonObject }[]
}

/** One of `GET /v2/peers`, as far as the tests read it. */
export interface PeerAnswer {
  readonly peer_id: string
  readonly addresses: readonly string[]
  readonly gossip: boolean
  readonly gossip_records_in: number
  readonly sync: {
    readonly state: string
    readonly progress: { readonly done: number; readonly total: number | null } | null
    readonly last: { readonly outcome: string; readonly differences: number; readonly finished_at: number } | null
    readonly sessions: number
    readonly records_in: number
    readonly records_out: number
    readonly bytes_in: number
    readonly bytes_out: number
  } | null
}

/** The HTTP calls of one node that the tests make. Every one throws when the node is not there. */
export interface Api {
  write(records: readonly SignedRecord[]): Promise<WriteResult[]>
  /** Undefined where the node does not know the avatar. */
  avatar(avatar: Avatar): Promise<AvatarAnswer | undefined>
  /** The body of the same call as text, to compare nodes byte for byte. */
  avatarText(avatar: Avatar): Promise<string>
  /** Ids of all records that the node lists for the avatar. */
  recordIds(avatar: Avatar): Promise<RecordId[]>
  gossipPeers(): Promise<number>
  peers(): Promise<PeerAnswer[]>
  /** Value of a metric without labels. */
  metric(name: string): Promise<number>
  status(): Promise<{ peer_id: string; avatars: number; records: number }>
}

export function createApi(url: string): Api {
  async function get(path: string): Promise<Response> {
    return await fetch(`${url}${path}`)
  }

  async function json<Answer>(path: string): Promise<Answer> {
    const response = await get(path)
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as Answer
  }

  const peers = async (): Promise<PeerAnswer[]> => (await json<{ peers: PeerAnswer[] }>('/v2/peers')).peers

  return {
    async write(records) {
      const response = await fetch(`${url}/v2/records`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: writeBody(records),
      })
      if (!response.ok) throw new Error(`POST /v2/records: ${response.status} ${await response.text()}`)
      return ((await response.json()) as { results: WriteResult[] }).results
    },
    async avatar(avatar) {
      const response = await get(`/v2/avatars/${avatar}`)
      if (response.status === 404) {
        await response.arrayBuffer()
        return undefined
      }
      if (!response.ok) throw new Error(`GET /v2/avatars/${avatar}: ${response.status} ${await response.text()}`)
      return (await response.json()) as AvatarAnswer
    },
    async avatarText(avatar) {
      return await (await get(`/v2/avatars/${avatar}`)).text()
    },
    async recordIds(avatar) {
      const ids: RecordId[] = []
      let cursor: string | null = null
      for (;;) {
        const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
        const page: { records: { id: RecordId }[]; cursor: string | null } = await json(
          `/v2/avatars/${avatar}/records?limit=100${query}`,
        )
        ids.push(...page.records.map(({ id }) => id))
        if (page.records.length === 0 || page.cursor === null) return ids
        cursor = page.cursor
      }
    },
    async gossipPeers() {
      return (await peers()).filter((peer) => peer.gossip).length
    },
    peers,
    async metric(name) {
      const text = await (await get('/metrics')).text()
      const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]
      if (value === undefined) throw new Error(`GET /metrics: no ${name}`)
      return Number(value)
    },
    status: async () => await json('/v2/status'),
  }
}

/** The body of `POST /v2/records`. */
export function writeBody(records: readonly SignedRecord[]): string {
  return JSON.stringify({
    records: records.map(({ payload, signature }) => ({
      payload: Buffer.from(payload).toString('utf8'),
      signature: `0x${Buffer.from(signature).toString('hex')}`,
    })),
  })
}
