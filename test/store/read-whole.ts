import type { Avatar } from '../../src/record/types.ts'
import { StoreError } from '../../src/store/errors.ts'
import type { AvatarSummary, JsonSnapshot, StoreReader } from '../../src/store/types.ts'

export interface AvatarView {
  readonly summary: AvatarSummary
  readonly namespaces: readonly { readonly platform: string; readonly identity: string; readonly json: string }[]
}

/**
 * What a moment's `read` gives, as one text. Where the store repairs the avatar meanwhile, it is read once more, as the node
 * does.
 */
export async function readWhole<T extends JsonSnapshot>(
  open: () => Promise<T | undefined>,
): Promise<{ readonly readSnapshot: T; readonly text: string } | undefined> {
  for (let tries = 1; ; tries += 1) {
    const readSnapshot = await open()
    if (readSnapshot === undefined) return undefined
    try {
      const chunks: Uint8Array[] = []
      for await (const chunk of readSnapshot.read()) chunks.push(chunk)
      return { readSnapshot, text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)) }
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'unreadable' || tries > 1) throw error
    } finally {
      await readSnapshot.close()
    }
  }
}

/** All that is visible of an avatar. Each content is also read alone and must be the same text. */
export async function viewOf(
  store: Pick<StoreReader, 'openView' | 'openContent'>,
  avatar: Avatar,
): Promise<AvatarView | undefined> {
  const view = await readWhole(() => store.openView(avatar))
  if (view === undefined) return undefined
  const { readSnapshot, text } = view
  const names = JSON.parse(text) as { platform: string; identity: string }[]
  const namespaces: AvatarView['namespaces'][number][] = []
  for (const { platform, identity } of names) {
    namespaces.push({ platform, identity, json: (await contentOf(store, avatar, platform, identity)) ?? '' })
  }
  const shown = namespaces.map(({ platform, identity, json }) => {
    const name = JSON.stringify({ platform, identity })
    return `${name.slice(0, -1)},"content":${json}}`
  })
  if (text !== `[${shown.join(',')}]`) {
    // Contents are read after the view: a commit in between is no contradiction.
    const later = await store.openView(avatar)
    await later?.close()
    if (later?.summary.digest !== readSnapshot.summary.digest) return viewOf(store, avatar)
    throw new Error(`The view of ${avatar} is not what its contents are.`)
  }
  return { summary: readSnapshot.summary, namespaces }
}

export async function contentOf(
  store: Pick<StoreReader, 'openContent'>,
  avatar: Avatar,
  platform: string,
  identity: string,
): Promise<string | undefined> {
  return (await readWhole(() => store.openContent(avatar, platform, identity)))?.text
}

/** Avatars that claim a namespace, each with its content. */
export async function claimsOf(
  store: Pick<StoreReader, 'claims' | 'openContent'>,
  platform: string,
  identity: string,
  limit: number,
): Promise<{ avatar: Avatar; json: string | undefined }[]> {
  const avatars = await store.claims(platform, identity, { limit })
  return Promise.all(
    avatars.map(async (avatar) => ({ avatar, json: await contentOf(store, avatar, platform, identity) })),
  )
}
